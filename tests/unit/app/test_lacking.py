"""Which imports are certain, and the one error about those that are not there."""

from __future__ import annotations

import pytest

from gpu_workbench.app.lacking import certain_imports, lacking_error
from gpu_workbench.app.shipping.names import analyse


def certain(cell: str) -> dict[str, int]:
    return certain_imports(analyse(cell).tree, cell)


def test_what_stands_at_the_top_is_certain() -> None:
    assert certain("import a.b, c as d\nx = 1\nfrom e.f import g") == {"a": 1, "c": 1, "e": 3}


@pytest.mark.parametrize(
    "cell",
    [
        "try:\n    import a\nexcept ImportError: pass",
        "if x:\n    import a",
        "def f():\n    import a",
        "from . import a",
        "!pip install a\nimport a",
        "%pip install a\nimport a",
        "import sys; sys.path.append('x')\nimport a",
    ],
)
def test_what_may_not_be_imported_or_may_come_to_be_there_is_not(cell: str) -> None:
    assert "a" not in certain(cell)


def test_one_error_names_all_their_lines_and_the_fix() -> None:
    error = lacking_error({"flash_attn": 3, "cv2": 0}, backend="kubernetes")
    assert str(error) == (
        "cv2 and flash_attn are not in the image: line 3 imports flash_attn. "
        "`%gpu pip install opencv-python-headless flash-attn` installs them into the session, "
        "or choose an image that has them with --image"
    )
    assert "--image" not in str(lacking_error({"a": 1}, backend="local"))
