"""The agent in images that are not ours, and made by notebooks that are not ours: every Python there is here, with the
oldest ipykernel it takes and the newest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import h11
import pytest

import gpu_workbench
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.model import Cause, Phase
from tests import pythons

from .harness import agent

pytestmark = [pytest.mark.pythons, pytest.mark.timeout(400)]

OLDEST = {"3.10": "6.4.0", "3.11": "6.4.0", "3.12": "6.16.0", "3.13": "6.16.0", "3.14": "6.16.0"}
"""The oldest ipykernel for each Python. Installers refuse what describes 6.0 to 6.3; up to 6.9 it needs a module, ``imp``,
that Python 3.12 has no more."""


def environment(version: str, ipykernel: str) -> str:
    """An interpreter that has this ipykernel and what it needs, and nothing else."""
    wanted = "ipykernel" if ipykernel == "newest" else f"ipykernel=={ipykernel}"
    return pythons.environment(version, f"ipykernel-{ipykernel}", [wanted])


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


@pytest.mark.parametrize("version", OLDEST)
def test_the_archive_that_it_makes_has_its_compiled_half_and_fits(version: str) -> None:
    """What a Python compiles has its own size; the notebook's own decides how large the archive is."""
    code = """if True:
        import io, zipfile
        from gpu_workbench.backends.archive import _PRELOADS, SIZE_LIMIT, agent_archive
        data = agent_archive()
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
        print(len(data), SIZE_LIMIT, sum(name.endswith(".pyc") for name in names), len(names), len(_PRELOADS))
    """
    carried = [Path(gpu_workbench.__file__).parent.parent, Path(h11.__file__).parent.parent]
    ran = subprocess.run(
        [environment(version, "newest"), "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, carried))},
        capture_output=True,
        text=True,
        check=True,
    )
    size, limit, compiled, members, given_as_files = map(int, ran.stdout.split())
    assert size <= limit
    assert 2 * compiled == members - given_as_files
