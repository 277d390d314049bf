"""How a container or an agent ended: its own record, memory, and exit codes."""

from __future__ import annotations

import re

from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.exits import Exit, exit_in_words, signal_of
from gpu_workbench.core.explain.case import Case, event_source, quote, seconds_between
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Cause, Failure
from gpu_workbench.core.objects import at, condition, members, number, text
from gpu_workbench.core.quantities import read_quantity, show_about, show_bytes
from gpu_workbench.core.wire import JsonObject, decode

_FIX_OF_CAUSE = {
    Cause.OUT_OF_MEMORY: "Ask for more with `--memory`, or hold less at a time",
    Cause.CUDA_OUT_OF_MEMORY: "Use less GPU memory at a time (a smaller batch), free what you can, or ask for larger GPUs",
    Cause.TIME_LIMIT: "Ask for longer with `--time-limit`",
}


def recorded(case: Case) -> Explanation | None:
    """What the agent itself wrote down at its end."""
    record = case.facts.record
    if not record:
        return None
    source = text(record, "source") or "the agent's terminal record"
    failure = _failure(record)
    if failure is None:
        reason = text(record, "reason")
        if not reason or condition(
            case.pod, "DisruptionTarget"
        ):  # of that it knows only that it got a signal
            return None
        return Explanation(code="ended", sentence=_capital(quote(reason)), source=source, waits=False)
    if failure.exit_code == Exit.NO_IPYKERNEL:
        return _no_ipykernel(case, source)
    if failure.exit_code == Exit.NO_DASK:
        return _no_dask(case, source)
    return Explanation(
        code=failure.cause.value,
        sentence=_capital(quote(failure.what)) + (f" (rank {failure.rank})" if failure.rank else ""),
        fix=_FIX_OF_CAUSE.get(failure.cause, ""),
        source=source,
        waits=False,
    )


def _failure(record: JsonObject) -> Failure | None:
    form = at(record, "failure")
    if not isinstance(form, dict):
        return None
    try:
        return decode(Failure, form)
    except ProtocolError:
        return None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _no_ipykernel(case: Case, source: str) -> Explanation:
    image = case.image() or "The image"
    return Explanation(
        code="image-without-ipykernel",
        sentence=f"Image {image} has no ipykernel, which a session needs",
        fix="Name an image that has it with `--image`, or add it to yours: `pip install ipykernel`",
        source=source,
        waits=False,
    )


def _no_dask(case: Case, source: str) -> Explanation:
    return Explanation(
        code="image-without-dask",
        sentence=f"Image {case.image() or 'of it'} has no Dask, which a Dask cluster needs",
        fix="Name an image that has it with `--image`, or add it to yours: `pip install distributed`",
        source=source,
        waits=False,
    )


def out_of_memory(case: Case) -> Explanation | None:
    """The kernel killed a process of the container at its memory limit."""
    for status, state in case.ended():
        if text(state, "reason") != "OOMKilled":
            continue
        limit = _memory_limit(case, text(status, "name"))
        asked = f"its limit of {show_bytes(limit)}" if limit else "what its node had left"
        return Explanation(
            code="out-of-memory",
            sentence=f"Out of memory: it used more than {asked} and was killed",
            fix="Ask for more with `--memory`, or hold less at a time",
            source=_state_source(case),
            waits=False,
        )
    return None


def _memory_limit(case: Case, container: str) -> int:
    for item in members(case.pod, "spec", "containers"):
        if item.get("name") == container:
            return int(read_quantity(at(item, "resources", "limits", "memory")) or 0)
    return 0


def _state_source(case: Case) -> str:
    return case.source("status.containerStatuses[0].state.terminated")


_NOT_STARTED = ("StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError")
_NO_FILE = re.compile(r'exec: "(?P<path>[^"]+)": .*(executable file not found|no such file or directory)')


def start_failed(case: Case) -> Explanation | None:
    """The runtime could not start the container's command at all."""
    message, source = _start_error(case)
    if not message:
        return None
    missing = _NO_FILE.search(message)
    if missing:
        return _no_program(case, missing["path"], source)
    if "exec format error" in message:
        return _architecture(case, source)
    if "permission denied" in message:
        return Explanation(
            code="command-not-executable",
            sentence=f"The command of image {case.image()} may not be executed by its user id",
            fix="Correct the interpreter in the profile (`python`), or its user id (`user_id`)",
            source=source,
            waits=False,
        )
    if re.search(r"nvidia|CDI device", message):
        return Explanation(
            code="gpu-runtime",
            sentence=f"The node could not hand its GPU to the container ({quote(message.rpartition(': ')[2])})",
            fix="Tell your administrator",
            source=source,
            waits=False,
        )
    return Explanation(
        code="container-start",
        sentence=f"The node could not start the container ({quote(message)})",
        fix="Check the image with `--image`, or tell your administrator",
        source=source,
        waits=False,
    )


def _start_error(case: Case) -> tuple[str, str]:
    for _, state in case.ended():
        log = _last_words(case, state)
        if text(state, "reason") in _NOT_STARTED or "exec format error" in log:
            return text(state, "message") or log, _state_source(case)
    for _, state in case.waiting():
        if text(state, "reason") in _NOT_STARTED:
            return text(state, "message"), case.source("status.containerStatuses[0].state.waiting")
    event = case.last_event("Failed", "Started", "Pulling")
    if event and re.search(r"failed to create (containerd )?task|OCI runtime", text(event, "message")):
        return text(event, "message"), event_source(event)
    return "", ""


def _no_program(case: Case, path: str, source: str) -> Explanation:
    program = path.rpartition("/")[2]
    if program.startswith("python"):
        return Explanation(
            code="image-without-python",
            sentence=f"Image {case.image()} has no {path}",
            fix="Name an image with Python 3.10 or newer with `--image`, or its interpreter in the profile (`python`)",
            source=source,
            waits=False,
        )
    return Explanation(
        code="command-not-found",
        sentence=f"Image {case.image()} has no {path}",
        fix="Name another image with `--image`",
        source=source,
        waits=False,
    )


def _architecture(case: Case, source: str) -> Explanation:
    node = text(case.node, "status", "nodeInfo", "architecture") if case.node else ""
    there = f" ({node})" if node else ""
    return Explanation(
        code="image-architecture",
        sentence=f"Image {case.image()} is made for another kind of processor than its node's{there}",
        fix="Name an image for it with `--image`",
        source=source,
        waits=False,
    )


def crashed(case: Case) -> Explanation | None:
    """The container ended by itself, and not well."""
    for _, state in case.ended():
        return _agent_exit(case, state) or _crash(case, state)
    return None


def _agent_exit(case: Case, state: JsonObject) -> Explanation | None:
    """Exit codes that the agent gives a meaning."""
    code, source = number(state, "exitCode"), _state_source(case)
    if code == Exit.NO_IPYKERNEL:
        return _no_ipykernel(case, source)
    if code == Exit.NO_DASK:
        return _no_dask(case, source)
    if code == 127 and re.search(r"python\S*: .*not found", _last_words(case, state)):
        return _no_program(case, "python", source)
    known = _EXITS.get(code)
    if known is None:
        return None
    word, sentence, fix = known
    return Explanation(code=word, sentence=sentence + _tail(case, state), fix=fix, source=source, waits=False)


_EXITS: dict[int, tuple[str, str, str]] = {
    Exit.USER_ERROR: ("user-error", "The run's own code failed", "`%gpu logs` shows its traceback"),
    Exit.BAD_SEAL: (
        "sealed-input",
        "Its sealed cell and values are missing or were changed, so nothing was run",
        "Submit it again",
    ),
    Exit.BARRIER: (
        "start-barrier",
        "Not all ranks came up in time, so it gave its GPUs back",
        "Submit it again when more is free, or allow it longer with `--start-timeout`",
    ),
    Exit.INTERNAL: (
        "agent-error",
        "The workbench's agent itself failed",
        "`%gpu logs` shows why; please report it",
    ),
}


def _crash(case: Case, state: JsonObject) -> Explanation:
    code = number(state, "exitCode")
    if text(state, "reason") == "ContainerStatusUnknown":
        return Explanation(
            code="node-lost",
            sentence="Its node lost sight of the container, so how it ended is not known",
            fix="Start it again",
            source=_state_source(case),
            waits=False,
        )
    passed = seconds_between(text(state, "startedAt"), text(state, "finishedAt"))
    when = (
        "" if passed is None else " at its start" if passed < 1 else f" {show_about(passed)} after its start"
    )
    name = signal_of(code)
    return Explanation(
        code="killed" if name == "SIGKILL" else "crashed",
        sentence=f"The container ended{when}: {exit_in_words(code)}" + _tail(case, state),
        fix="`%gpu logs` shows what it printed",
        source=_state_source(case),
        waits=False,
    )


_TAIL_LINES = 3


def _tail(case: Case, state: JsonObject) -> str:
    lines = [line.strip() for line in _last_words(case, state).splitlines() if line.strip()]
    if not lines:
        return ""
    quoted = quote(" / ".join(lines[-_TAIL_LINES:]))
    return f'; its last {"line" if len(lines) == 1 else "lines"}: "{quoted}"'


def _last_words(case: Case, state: JsonObject) -> str:
    """The last lines it printed: the log's, else the termination message's where that is not the agent's record."""
    message = text(state, "message")
    return case.facts.log_tail or ("" if message.startswith("{") else message)
