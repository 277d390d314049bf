"""What to do about an error that a cell raised in its session, where this side knows more than the session."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection

from gpu_workbench.app.lacking import package_of


def hint(
    kind: str, message: str, *, here: Collection[str], why_absent: Callable[[str], str] = lambda path: ""
) -> str:
    """A sentence to stand under the traceback; empty where there is nothing to add.

    Args:
        kind: The exception's name.
        message: What it says.
        here: Names of the notebook's variables.
        why_absent: Says why a file that is here is not there.
    """
    if kind == "FileNotFoundError":
        path = _last_quoted(message)
        return why_absent(path) if path else ""
    if kind == "ModuleNotFoundError" and (module := _last_quoted(message)):
        package = package_of(module.partition(".")[0])
        return f"`%gpu pip install {package}` installs it into the session"
    found = re.match(r"name '(\w+)' is not defined", message) if kind == "NameError" else None
    if found and found[1] in here:
        return f"{found[1]} is here and was not sent: name it with --in, or `%gpu push {found[1]}`"
    return ""


def _last_quoted(message: str) -> str:
    """The text that a message ends with in quotes, as Python's own messages about files and modules do."""
    found = re.search(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")$""", message)
    try:
        text = ast.literal_eval(found[1]) if found else ""
    except (SyntaxError, ValueError):
        return ""
    return text if isinstance(text, str) else ""
