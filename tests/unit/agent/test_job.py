"""A detached run: sealed files in, signed results out, and an exit code that says whether to try again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy
import pytest

from gpu_workbench.agent.exits import exit_code
from gpu_workbench.agent.job import SealBroken, open_seal
from gpu_workbench.app.incoming import fetch, read_kept
from gpu_workbench.app.sealing import FileToSeal, seal
from gpu_workbench.backends.kept import KeptFolder
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import ForgedValue, Unreachable
from gpu_workbench.core.exits import Exit
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.values.codecs import encode
from gpu_workbench.values.signing import verify

from .harness import KEY, AgentProcess, job_agent, lay_out


def events_of(agent: AgentProcess) -> list[e.Event]:
    """All that was journalled, from the store."""
    lines = [
        line
        for path in sorted((agent.folder / "store" / "journal").rglob("*.ndjson"))
        for line in path.read_bytes().splitlines()
    ]
    return [entry.event for line in lines if (entry := e.decode_entry(line))]


def ended(agent: AgentProcess) -> e.RunEnded:
    (event,) = [event for event in events_of(agent) if isinstance(event, e.RunEnded)]
    return event


async def test_cell_runs_with_its_values_and_files_and_leaves_signed_results(tmp_path: Path) -> None:
    cell = "import helper\nprint('sum', float(x.sum()))\ntotal, model = helper.double(float(x.sum())), {'w': x}\ntotal"
    agent = job_agent(
        tmp_path,
        cell,
        run="r1",
        out=("total", "model"),
        values={"x": numpy.arange(5.0)},
        files={"helper.py": b"def double(v): return 2 * v\n"},
    )
    try:
        agent.start()
        async with agent.client(after="") as client:
            end = await client.event(e.RunEnded)
            assert end.phase is Phase.SUCCEEDED, end.failure
            assert client.text("r1") == "sum 10.0\n"
            assert (await client.channel.state())["run"] == "r1"
            stored = {event.value.name: event.value for event in client.events(e.ResultStored)}
            assert await client.get("total", run="r1") == 20.0
            model = await client.get("model", run="r1")
            assert isinstance(model, dict)
            numpy.testing.assert_array_equal(model["w"], numpy.arange(5.0))
            await client.closed()  # both were fetched: it need not wait any longer
        assert agent.wait() == 0
    finally:
        agent.stop()
    assert agent.record["outcome"] == "Succeeded"
    assert agent.record["receipt"]
    table = json.loads((tmp_path / "store" / "results.json").read_text())["values"]
    for name, value in stored.items():
        facts = table[name]
        assert (facts["digest"], facts["codec"]) == (value.digest, value.codec)
        verify(KEY, facts["signature"], run="r1", name=name, codec=facts["codec"], digest=facts["digest"])
        assert (tmp_path / "store" / facts["file"]).stat().st_size == facts["length"] == value.size
    assert ended(agent).phase is Phase.SUCCEEDED


class Hostile:
    """A pickle of it makes a folder where it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"mkdir {self.marker} #{'x' * 600}",)


async def test_a_result_changed_in_its_store_is_not_handed_out_while_the_agent_lives(tmp_path: Path) -> None:
    hostile = encode(Hostile(tmp_path / "loaded"))
    plain = encode({"k" * 300})
    size = hostile.length - plain.length + 300
    agent = job_agent(tmp_path, f"seen = {{'k' * {size}}}", run="r1", out=("seen",))
    try:
        agent.start()
        async with agent.client(after="") as client:
            assert (await client.event(e.RunEnded)).phase is Phase.SUCCEEDED
            stored = tmp_path / "store" / "results" / "seen"
            kept = stored.read_bytes()
            forged = b"".join(hostile.chunks)
            assert len(forged) == len(kept)  # so that nothing but its content gives it away
            stored.write_bytes(forged)
            with pytest.raises(Unreachable):
                await fetch(client.channel, "seen", run="r1")
            there = KeptFolder(stored.parent, tmp_path / "store", run_key=KEY)  # where the client looks then
            with pytest.raises(ForgedValue):
                await read_kept(there, "seen", run="r1")
            assert not (tmp_path / "loaded").exists()
            stored.write_bytes(kept)
            assert await fetch(client.channel, "seen", run="r1") == {"k" * size}
    finally:
        agent.stop()


@pytest.mark.parametrize("spoiled", ["job", "signature", "value", "missing-value", "codec", "other-run"])
def test_a_forged_or_missing_input_is_found_before_anything_is_loaded(tmp_path: Path, spoiled: str) -> None:
    sealed = seal(RunSpec(id="r1", cell="print(x)"), [("x", encode(5))], key=KEY)
    if spoiled == "job":
        sealed["job.json"] = sealed["job.json"].replace(b"print(x)", b"print(0)")
    elif spoiled == "signature":
        del sealed["job.sig"]
    elif spoiled == "value":
        sealed["values/0"] = b"6"
    elif spoiled == "missing-value":
        del sealed["values/0"]
    elif spoiled == "codec":
        sealed["job.json"] = sealed["job.json"].replace(b'"json"', b'"pickle5"')
    else:
        other = seal(RunSpec(id="r2", cell="print(x)"), [("x", encode(6))], key=KEY)
        sealed["values/0"] = other["values/0"]
    lay_out(tmp_path, sealed)
    with pytest.raises(SealBroken):
        open_seal(tmp_path, KEY)


def test_a_seal_of_another_key_is_not_opened(tmp_path: Path) -> None:
    lay_out(tmp_path, seal(RunSpec(id="r1", cell="1"), key=b"x" * 32))
    with pytest.raises(SealBroken, match="not what its sender signed"):
        open_seal(tmp_path, KEY)


def test_a_seal_is_opened_as_it_was_made(tmp_path: Path) -> None:
    run = RunSpec(id="r1", cell="print(x)", out=("y",), name="long train")
    files = {"a/b.py": FileToSeal(b"pass\n", 0o755)}
    lay_out(tmp_path, seal(run, [("x", encode([1, 2]))], files, key=KEY, script=("a/b.py", "-v")))
    job = open_seal(tmp_path, KEY)
    assert job.run == run
    assert [value.name for value in job.values] == ["x"]
    assert job.files["a/b.py"].mode == 0o755
    assert job.script is not None
    assert job.script.argv == ("a/b.py", "-v")


async def test_a_forged_run_ends_failed_and_says_so_with_its_exit_code(tmp_path: Path) -> None:
    def spoil(sealed: dict[str, bytes]) -> None:
        del sealed[next(path for path in sealed if path.startswith("files/"))]

    agent = job_agent(tmp_path, "print(1)", run="r1", files={"a.py": b"pass\n"}, spoil=spoil)
    try:
        agent.start()
        async with agent.client(after="") as client:
            await client.event(e.RankEnded)
            await client.channel.stop("heard")
        assert agent.wait() == Exit.BAD_SEAL
    finally:
        agent.stop()
    assert agent.record["outcome"] == "Failed"
    end = ended(agent)
    assert (end.run, end.phase) == ("r1", Phase.FAILED)
    assert not any(isinstance(event, e.OutputWritten | e.RunStarted) for event in events_of(agent))


@pytest.mark.parametrize(
    ("phase", "failure", "told", "code"),
    [
        (Phase.SUCCEEDED, None, False, 0),
        (Phase.FAILED, Failure(Cause.USER_ERROR, "ZeroDivisionError"), False, Exit.USER_ERROR),
        (Phase.FAILED, Failure(Cause.EXITED, "exit", exit_code=3), False, Exit.USER_ERROR),
        (Phase.FAILED, Failure(Cause.TIME_LIMIT, "time"), False, Exit.USER_ERROR),
        (Phase.STOPPED, Failure(Cause.STOPPED, "stopped"), False, Exit.USER_ERROR),
        (Phase.FAILED, Failure(Cause.SIGNALLED, "killed", signal="SIGSEGV"), False, 139),
        (Phase.FAILED, Failure(Cause.OUT_OF_MEMORY, "oom", signal="SIGKILL"), False, 137),
        (Phase.STOPPED, Failure(Cause.STOPPED, "it got SIGTERM"), True, 143),
    ],
)
def test_exit_code_says_whether_to_try_again(
    phase: Phase, failure: Failure | None, told: bool, code: int
) -> None:
    assert exit_code(phase, failure, told=told) == code


def test_a_result_that_is_not_there_or_cannot_travel_fails_the_run_and_leaves_the_others(
    tmp_path: Path,
) -> None:
    cell = "import threading\ngood, bad = 1, threading.Lock()"
    agent = job_agent(tmp_path, cell, out=("good", "bad", "none"), linger=0.0)
    try:
        agent.start()
        assert agent.wait() == Exit.USER_ERROR
    finally:
        agent.stop()
    failure = ended(agent).failure
    assert failure is not None
    assert "bad" in failure.what
    assert list(json.loads((tmp_path / "store" / "results.json").read_text())["values"]) == ["good"]


async def test_no_ipykernel_is_said(tmp_path: Path) -> None:
    agent = job_agent(tmp_path, "1", run="r1")
    bare = tmp_path / "bare" / "ipykernel"
    bare.mkdir(parents=True)
    (bare / "__init__.py").write_text("raise ImportError(\"No module named 'ipykernel'\")")
    agent.env = {"PYTHONPATH": str(bare.parent)}
    try:
        agent.start()
        async with agent.client(after="") as client:
            failure = (await client.event(e.RunEnded)).failure
            assert failure is not None
            assert "no ipykernel" in failure.what
            await client.channel.stop("heard")
        assert agent.wait() == Exit.NO_IPYKERNEL
    finally:
        agent.stop()


async def test_sigterm_lets_the_code_write_a_checkpoint_and_asks_for_another_try(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "def save(*_):\n    open('checkpoint', 'w').write('7'); print('saved', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('go', flush=True)\ntime.sleep(60)\n"
    )
    agent = job_agent(tmp_path, "", run="r1", files={"t.py": script.encode()}, script=("t.py",))
    try:
        agent.start()
        async with agent.client(after="") as client:
            await client.started("r1")
            agent.process.send_signal(signal.SIGTERM)
            end = await client.event(e.RunEnded)
            assert end.phase is Phase.STOPPED
            assert "saved" in client.text("r1")
        assert agent.wait() == 128 + signal.SIGTERM
    finally:
        agent.stop()
    assert (tmp_path / "work" / "checkpoint").read_text() == "7"
    again = AgentProcess(tmp_path, config=agent.config)
    try:
        again.start()
        async with again.client(after="") as client:
            started = await client.event(e.AgentStarted)
            assert started.generation == 1
            await client.started("r1")
            await client.channel.stop("enough")
            assert (await client.event(e.RunEnded)).phase is Phase.STOPPED
        assert again.wait() == Exit.USER_ERROR
    finally:
        again.stop()


async def test_a_script_runs_as_plain_python(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "print('args', sys.argv[1:], __name__)\n"
        "sys.stderr.write('\\r 50%|##   | 1/2 [00:01<00:01,  1.0it/s]')\n"
        "sys.stdout.flush(); os.write(1, b'\\xff\\xfe raw \\xc3'); os.write(1, b'\\xa9\\n')\n"
        "subprocess.Popen(['sh', '-c', 'echo late; exec sleep 60'])\n"
        "import time; time.sleep(0.3)\n"
        "sys.exit(int(sys.argv[2]))\n"
    )
    agent = job_agent(
        tmp_path, "", run="r1", files={"train.py": script.encode()}, script=("train.py", "--n", "0")
    )
    try:
        agent.start()
        async with agent.client(after="") as client:
            end = await client.event(e.RunEnded)
            assert end.phase is Phase.SUCCEEDED, end.failure
            text = client.text("r1")
            assert "args ['--n', '0'] __main__\n" in text
            assert "\ufffd\ufffd raw é\n" in text
            assert "late\n" in text
            assert client.text("r1", "stderr").startswith("\r 50%")
            assert (await client.event(e.ProgressMoved)).progress.done == 1
        assert agent.wait() == 0
    finally:
        agent.stop()


async def test_a_script_that_fails_says_its_exit_code(tmp_path: Path) -> None:
    agent = job_agent(tmp_path, "", files={"t.py": b"import sys; sys.exit(3)"}, script=("t.py",), linger=0.0)
    try:
        agent.start()
        assert agent.wait() == Exit.USER_ERROR
    finally:
        agent.stop()
    failure = ended(agent).failure
    assert failure is not None
    assert failure.exit_code == 3


async def test_a_script_is_interrupted(tmp_path: Path) -> None:
    script = b"import time; print('go', flush=True); time.sleep(60)"
    agent = job_agent(tmp_path, "", run="r1", files={"t.py": script}, script=("t.py",), linger=0.0)
    try:
        agent.start()
        async with agent.client(after="") as client:
            await client.started("r1")
            await client.channel.interrupt("r1", grade=1)
            end = await client.event(e.RunEnded)
            assert end.phase is Phase.STOPPED
            assert end.failure is not None
            assert end.failure.cause is Cause.INTERRUPTED
            assert "KeyboardInterrupt" in client.text("r1", "stderr")
        assert agent.wait() == Exit.USER_ERROR
    finally:
        agent.stop()


async def test_a_run_out_of_time_is_not_tried_again(tmp_path: Path) -> None:
    agent = job_agent(
        tmp_path,
        "",
        files={"t.py": b"import time; time.sleep(60)"},
        script=("t.py",),
        time_limit=1.0,
    )
    try:
        agent.start()
        assert agent.wait() == Exit.USER_ERROR
    finally:
        agent.stop()
    failure = ended(agent).failure
    assert failure is not None
    assert failure.cause is Cause.TIME_LIMIT
    assert agent.record["outcome"] == "Failed"
