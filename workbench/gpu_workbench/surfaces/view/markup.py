"""HTML built so that nothing is ever unescaped by mistake: text is escaped where it becomes a child or an attribute."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Union

Child = Union[str, "Html", None, Iterable[Union[str, "Html", None]]]


class Html(str):
    """Text that is HTML already. Made by :func:`tag` and :func:`join` alone."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element. Of attributes ``cls`` is ``class``, ``_`` is written ``-``, and ``None`` leaves one out."""
    written = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child, between: str = "") -> Html:
    """Children one after the other, escaped where they are plain text; ``None`` and empty ones are left out."""
    parts = [part for child in children for part in _flat(child)]
    return Html((between if isinstance(between, Html) else html.escape(between)).join(parts))


def coded(text: str) -> Html:
    """A sentence, in which ``code`` stands in back quotes."""
    parts = text.split("`")
    return join(
        *(tag("code", part, cls="gwb-code") if place % 2 else part for place, part in enumerate(parts))
    )


def _flat(child: Child) -> Iterable[str]:
    if child is None:
        return
    if isinstance(child, str):
        if child:
            yield child if isinstance(child, Html) else html.escape(child, quote=True)
        return
    for one in child:
        yield from _flat(one)
