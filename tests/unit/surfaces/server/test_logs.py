"""A log as a text file: without colours, however the pages fall."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.app.logs import Page, Piece, Remark
from gpu_workbench.core.events import OutputWritten
from gpu_workbench.surfaces.server.logs import TEXT_LIMIT, Uncoloured, pieces

COLOURED = "one \x1b[31;1mred\x1b[0m \x1b]0;title\x07 two \x1b[2K end\n"


def page(*texts: str) -> Page:
    return Page(
        tuple(Piece(OutputWritten("r", "stream", {"name": "stdout", "text": text})) for text in texts)
    )


@given(cuts=st.lists(st.integers(0, len(COLOURED)), max_size=4))
def test_a_colour_that_goes_on_in_the_next_page_is_left_out_too(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(COLOURED)]
    plain = Uncoloured()
    text = "".join(plain.add(page(COLOURED[begin:end])) for begin, end in itertools.pairwise(places))
    assert text + plain.rest == "one red  two  end\n"


def test_a_remark_has_a_line_of_its_own() -> None:
    plain = Uncoloured()
    found = Page((*page("half").pieces, Piece(Remark("missing")), *page("on\n").pieces))
    assert plain.add(found) == "half\n[missing]\non\n"


def test_a_huge_display_is_cut_and_said_to_be() -> None:
    event = OutputWritten("r", "display_data", {"data": {"text/plain": "x" * (TEXT_LIMIT + 5)}})
    first, second = pieces([Piece(event)])
    assert (len(first.text), second.stream) == (TEXT_LIMIT, "remark")
    assert second.text == "6 characters of this output are left out"
