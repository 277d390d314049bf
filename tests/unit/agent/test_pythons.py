"""The agent in images that are not ours: every Python there is here, with the oldest ipykernel it takes and the newest."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.model import Cause, Phase

from .harness import agent

pytestmark = [pytest.mark.pythons, pytest.mark.timeout(400)]

OLDEST = {"3.10": "6.4.0", "3.11": "6.4.0", "3.12": "6.16.0", "3.13": "6.16.0", "3.14": "6.16.0"}
"""The oldest ipykernel for each Python. Installers refuse what describes 6.0 to 6.3; up to 6.9 it needs a module, ``imp``,
that Python 3.12 has no more."""

CACHE = Path(platformdirs.user_cache_dir("gpu-workbench")) / "pythons"


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine: on PATH, or among pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += [str(path / "bin" / "python") for path in sorted(root.glob(f"{version}.*"), reverse=True)]
    for candidate in candidates:
        if candidate and _version(candidate) == version:
            return candidate
    return None


def _version(python: str) -> str:
    said = subprocess.run(  # noqa: PLW1510 - a broken one has no version
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    )
    return said.stdout.strip()


def environment(version: str, ipykernel: str) -> str:
    """An interpreter that has this ipykernel and what it needs, and nothing else. Made once, kept in the user's cache."""
    found = interpreter(version)
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("uv is needed to make environments")
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{version}-ipykernel-{ipykernel}"
    python = folder / "bin" / "python"
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            wanted = "ipykernel" if ipykernel == "newest" else f"ipykernel=={ipykernel}"
            for command in (
                [uv, "venv", "--quiet", "--python", found, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", str(python), wanted],
            ):
                made = subprocess.run(command, check=False, capture_output=True, text=True)
                if made.returncode:
                    pytest.skip(
                        f"ipykernel {ipykernel} cannot be installed on Python {version}: {made.stderr[-300:]}"
                    )
            (folder / "complete").touch()
    return str(python)


@pytest.mark.parametrize("age", ["oldest", "newest"])
@pytest.mark.parametrize("version", OLDEST)
async def test_a_session_works(tmp_path: Path, version: str, age: str) -> None:
    python = environment(version, OLDEST[version] if age == "oldest" else age)
    with agent(tmp_path, python=python) as made:
        async with made.client(after="") as client:
            await client.up()
            assert str((await client.channel.state())["python"]).startswith(version + ".")

            cell = (
                "import os\n"
                "for i in range(2000): print(i, flush=True)\n"
                "os.system('echo shell')\n"
                "x = {'a': 1}\nx"
            )
            run = await client.submit(cell, magic="%%gpu", count=12, out=("x",))
            end = await client.event(e.RunEnded, run=run)
            assert end.phase is Phase.SUCCEEDED, end.failure
            text = client.text(run)
            assert [line for line in text.splitlines() if line != "shell"] == [str(i) for i in range(2000)]
            assert "shell\n" in text
            shown = await client.event(e.OutputWritten, run=run, message="execute_result")
            assert shown.content["execution_count"] == 12
            assert await client.get("x", run=run) == {"a": 1}

            await client.put("y", {1, 2, 3})  # no JSON: a pickle, read with the agent's own code
            assert (await client.run("assert y == {1, 2, 3}")).phase is Phase.SUCCEEDED
            with pytest.raises(NotFound):
                await client.get("nothing")

            failed = await client.run("1/0", magic="%%gpu")
            assert failed.failure is not None
            assert failed.failure.what == "ZeroDivisionError: division by zero"

            asked = await client.submit("name = input('who? ')")
            question = await client.event(e.InputRequested, run=asked)
            await client.channel.answer(asked, request=question.request, value="me")
            assert (await client.event(e.RunEnded, run=asked)).phase is Phase.SUCCEEDED

            sleeping = await client.submit("print('go', flush=True); import time; time.sleep(60)")
            await client.started(sleeping)
            await client.channel.interrupt(sleeping, grade=1)
            end = await client.event(e.RunEnded, run=sleeping)
            assert end.failure is not None
            assert end.failure.cause is Cause.INTERRUPTED
            assert (await client.run("assert name == 'me'")).phase is Phase.SUCCEEDED

            died = await client.run("os._exit(3)")
            assert died.failure is not None
            assert died.failure.exit_code == 3
            await client.event(e.PayloadRestarted)
            assert (await client.run("'x' in globals()")).phase is Phase.SUCCEEDED
            await client.channel.stop("done")
            await client.event(e.RankEnded, phase=Phase.STOPPED)
        assert made.wait() == 0
    assert "Traceback" not in made.log
