"""The run's error as this cell's own: raised here, shown with the traceback from over there, and without our frames."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.core.errors import RunFailed, WorkbenchError
from gpu_workbench.core.model import Cause, Failure
from gpu_workbench.core.wire import JsonObject


class Shown:
    """Mixed into exceptions that know how IPython should draw them."""

    lines: Sequence[str] = ()

    def _render_traceback_(self) -> list[str]:
        return list(self.lines)


class CellInterrupted(Shown, KeyboardInterrupt):
    """The cell was interrupted; its session lives on, unless it says otherwise."""


class CellFailed(Shown, RunFailed):
    """The cell's code raised."""


def remote_error(content: JsonObject, *, hint: str = "") -> BaseException:
    """The exception that stands here for one that was raised in the session: same name, same words, same traceback.

    Args:
        content: Jupyter's error message.
        hint: A sentence to stand under the traceback.
    """
    name, value = str(content.get("ename") or "Error"), str(content.get("evalue") or "")
    lines = content.get("traceback")
    shown = [str(line) for line in lines] if isinstance(lines, list) else [f"{name}: {value}"]
    shown += [hint] if hint else []
    base = CellInterrupted if name == "KeyboardInterrupt" else CellFailed
    made = type(name, (base,), {"__module__": "builtins", "lines": shown, "__str__": lambda self: value})
    error: BaseException = made(value)
    return error


def syntax_error(error: SyntaxError, *, count: int) -> BaseException:
    """The cell is not Python: shown as Python shows it, at its line of the notebook's cell."""
    line = (error.lineno or 1) + 1  # the magic's own line is above
    shown = [f"  Cell In[{count}], line {line}"]
    if error.text:
        text = error.text.rstrip("\n")
        offset = max((error.offset or 1) - 1, 0)
        shown += [f"    {text}", f"    {' ' * offset}^"]
    name = type(error).__name__
    shown.append(f"\x1b[31m{name}\x1b[39m: {error.msg}")
    made = type(name, (CellFailed,), {"__module__": "builtins", "lines": ["\n".join(shown)]})
    raised: BaseException = made(error.msg)
    return raised


def run_failure(failure: Failure) -> BaseException:
    """The exception for a run that ended without one of its own: its process died, it was stopped, a value was bad."""
    detail = f"\n{failure.detail}" if failure.detail else ""
    base = CellInterrupted if failure.cause is Cause.INTERRUPTED else CellFailed
    made = type(
        base.__name__, (base,), {"lines": [_headline("The cell did not end well", failure.what) + detail]}
    )
    error: BaseException = made(failure.what)
    return error


def shown_error(error: WorkbenchError) -> WorkbenchError:
    """One of our own errors, drawn as its sentence and not as a traceback through our code."""
    cls = type(error)
    if not issubclass(cls, Shown):
        error.__class__ = type(cls.__name__, (Shown, cls), {"__module__": cls.__module__})
        error.lines = [_headline(cls.__name__, str(error))]  # type: ignore[attr-defined]
    return error


def _headline(title: str, text: str) -> str:
    return f"\x1b[31m{title}\x1b[39m: {text}"
