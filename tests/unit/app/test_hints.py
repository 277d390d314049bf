"""What stands under a traceback of the session, where this side knows more."""

from __future__ import annotations

import pytest

from gpu_workbench.app.hints import hint


@pytest.mark.parametrize("path", ["data.csv", "it's here.csv", 'quo"ted', "back\\slash", "ünï"])
def test_the_path_of_a_file_that_was_not_found_is_read_from_pythons_own_message(path: str) -> None:
    message = str(FileNotFoundError(2, "No such file or directory", path))
    assert hint("FileNotFoundError", message, here=(), why_absent=lambda found: f"<{found}>") == f"<{path}>"


@pytest.mark.parametrize("message", ["", "no quotes", "half 'quoted", "[Errno 2] No such file or directory"])
def test_a_message_without_a_path_has_no_hint(message: str) -> None:
    assert hint("FileNotFoundError", message, here=(), why_absent=lambda found: "never") == ""


def test_a_module_that_is_not_there_can_be_installed() -> None:
    assert "`%gpu pip install opencv-python-headless`" in hint(
        "ModuleNotFoundError", "No module named 'cv2'", here=()
    )
    assert "`%gpu pip install gwb-x`" not in hint("ImportError", "No module named 'gwb_x'", here=())


def test_a_name_that_is_here_and_was_not_sent() -> None:
    message = "name 'x' is not defined"
    assert "--in" in hint("NameError", message, here={"x"})
    assert hint("NameError", message, here={"y"}) == ""
