"""Notebooks come and go, sessions stay: found again by a new kernel, shared by two notebooks, missed when they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from tests.contract.conftest import Place, facts_when
from tests.kernels import Notebook, Ran, notebook

pytestmark = pytest.mark.timeout(300, func_only=True)

SMALL = "--gpus 0 --cpus 0.1"


class Shown(Exception):
    """What a test waited for has been seen."""


def until_shown(nb: Notebook, message: str, text: str) -> Ran:
    """Read what a cell shows until ``text`` is among it; the cell goes on."""
    found: list[Ran] = []

    def seen(ran: Ran) -> None:
        found[:] = [ran]
        if text in ran.shown:
            raise Shown

    with contextlib.suppress(Shown):
        ran = nb.end(message, seen=seen)
        raise AssertionError(f"the cell ended without {text!r}:\n{ran.shown}")
    return found[0]


@contextlib.contextmanager
def kernel(place: Place, name: str = "test.ipynb") -> Iterator[Notebook]:
    """A kernel of a notebook; what it starts outlives it."""
    history = place.folder / f"ipython-{secrets.token_hex(4)}"  # IPython's own is not proof against SIGKILL
    env = {**place.env, "IPYTHONDIR": str(history)}
    with notebook(place.folder, name=name, env=env, stop=False) as made:
        yield made


def killed(nb: Notebook) -> None:
    """End the notebook's kernel as the machine would."""
    os.kill(nb.pid, signal.SIGKILL)
    nb.kill()


def shut_down(nb: Notebook) -> None:
    """End the notebook's kernel as "Restart kernel" and a server that ends do: it is interrupted, then asked to end."""
    nb.client.stop_channels()
    nb.manager.shutdown_kernel()


def counting(steps: int) -> str:
    """A cell that prints numbered lines for a while, and knows whether it was disturbed."""
    return f"""%%gpu {SMALL}
import os, time
counted, process = 0, os.getpid()
for counted in range(1, {steps} + 1):
    print('line', counted, flush=True)
    time.sleep(0.02)
print('all counted', flush=True)
"""


def lines(steps: int) -> list[str]:
    return [*(f"line {number}" for number in range(1, steps + 1)), "all counted"]


def test_a_new_kernel_finds_the_session_and_the_run_was_not_disturbed(quiet_place: Place) -> None:
    steps = 300
    with kernel(quiet_place) as first:
        first.check(f"%%gpu {SMALL}\nmade = 'before'")
        until_shown(first, first.begin(counting(steps)), "line 20\n")
        killed(first)
    with kernel(quiet_place) as second:
        ran = second.check("%%gpu\nprint(made); counted, process == os.getpid()")
        assert "Found this notebook's session 'default' again" in ran.shown
        assert ran.stream() == "before\n"
        assert ran.result == f"({steps}, True)", "it waited for its turn behind the run that went on"
        assert second.check("%gpu logs").stream().splitlines() == [*lines(steps), "before"]
        again = second.check("%%gpu\n1")
        assert "Found" not in again.shown, "said once"


def test_attach_in_a_new_kernel_shows_the_run_from_its_beginning_to_its_end(quiet_place: Place) -> None:
    steps = 300
    with kernel(quiet_place) as first:
        until_shown(first, first.begin(counting(steps)), "line 20\n")
        shut_down(first)
    with kernel(quiet_place) as second:
        ran = second.check("%gpu attach")
        assert ran.stream().splitlines() == lines(steps)
        assert second.check("%%gpu\ncounted, process == os.getpid()").result == f"({steps}, True)"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """This machine alone."""
    from tests.contract.conftest import _local

    made = _local(tmp_path)
    yield made
    asyncio.run(made.close())


BEGUN = {
    "script": "%gpu run count.py --gpus 0 --name counted",
    "session": "import gpu_workbench as gw\ngw.session('counted', gpus=0).run(open('count.py').read())",
    "awaited": "from gpu_workbench import aio\n"
    "await (await aio.session('counted', gpus=0)).run(open('count.py').read())",
}


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
def test_however_a_run_was_begun_it_goes_on_when_the_kernel_is_shut_down(here: Place, begun: str) -> None:
    steps = 150
    (here.folder / "count.py").write_text(counting(steps).partition("\n")[2])
    with kernel(here) as first:
        until_shown(first, first.begin(begun), "line 20\n")
        shut_down(first)
    with kernel(here) as second:
        assert second.check("%gpu attach counted").stream().splitlines() == lines(steps)
        second.check("%gpu stop --all")


def test_two_notebooks_in_one_session_take_turns_and_see_who_is_before(here: Place) -> None:
    gate = here.folder / "go"
    waiting = f"import os, time\nprint('in', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    with kernel(here, "first.ipynb") as first, kernel(here, "second.ipynb") as second:
        first.check(f"%%gpu --session shared {SMALL}\norder = ['made by the first']")
        assert "shared" in second.check("%gpu attach shared").shown
        one = first.begin(f"%%gpu --session shared --name first-run\n{waiting}order.append('first')\norder")
        until_shown(first, one, "in\n")
        two = second.begin("%%gpu --session shared --name second-run\norder.append('second')\norder")
        until_shown(second, two, "Next in this session, after first-run")
        gate.touch()
        assert first.end(one).result == "['made by the first', 'first']"
        assert second.end(two).result == "['made by the first', 'first', 'second']"
        listed = first.check("%%gpu --session shared\norder")
        assert listed.result == "['made by the first', 'first', 'second']"


def test_a_second_notebook_lists_the_firsts_runs_and_stops_one_by_the_beginning_of_its_id(
    here: Place,
) -> None:
    with kernel(here, "first.ipynb") as first, kernel(here, "second.ipynb") as second:
        first.check(f"%gpu start --session zeta-one {SMALL}")
        first.check(f"%gpu start --session zeta-two {SMALL}")
        listed = second.check("%gpu ls").shown
        assert "zeta-one" in listed
        assert "zeta-two" in listed
        handles = {handle.spec.name: handle for handle in asyncio.run(here.backend().list(owner=""))}

        several = second.run("%gpu stop zeta")
        assert several.status == "error"
        assert "'zeta' may mean 2 runs" in several.error
        assert all(handle.id in several.error for handle in handles.values())
        assert "Write more of the id" in several.error

        unknown = second.run("%gpu stop nosuchrun")
        assert unknown.status == "error"
        assert "There is no run 'nosuchrun'" in unknown.error
        assert "`%gpu ls --all`" in unknown.error
        assert "zeta-one" in second.check("%gpu ls").shown, "nothing was stopped"

        one, two = handles["zeta-one"].id, handles["zeta-two"].id
        short = next(one[:digits] for digits in range(1, 13) if not two.startswith(one[:digits]))
        assert "Stopped zeta-one" in second.check(f"%gpu stop {short}").shown
        left = second.check("%gpu ls").shown
        assert "zeta-one" not in left
        assert "zeta-two" in left


def ended(place: Place) -> None:
    """Wait until the user's one session has ended by itself."""

    async def wait() -> None:
        backend = place.backend()
        owner = await backend.owner() if isinstance(backend, KubernetesBackend) else ""
        [handle] = await backend.list(owner=owner)
        await facts_when(backend, handle, lambda facts: facts.phase.ended and not facts.agent_ready)
        await backend.close()

    asyncio.run(wait())


def test_a_session_that_ended_idle_is_missed_with_its_names(quiet_place: Place) -> None:
    with kernel(quiet_place) as nb:
        nb.check(f"%%gpu {SMALL} --idle-limit 8s\nprecious = [1]\nother = 2")
        ended(quiet_place)
        lost = nb.run(f"%%gpu {SMALL}\nprecious")
        assert lost.status == "error"
        said = lost.shown
        assert "no cell ran for 8 s (idle limit)" in said
        assert re.search(r"ended at \d\d:\d\d: no cell ran", said), said
        assert "Gone with it: other, precious" in said
        assert lost.error.startswith("NameLost: precious lived in the session and is gone")
        assert nb.check(f"%%gpu {SMALL}\n2 + 2").result == "4"
        assert "Gone with it" not in nb.check("%%gpu\n3 + 3").shown, "said once"


def test_a_new_kernel_is_told_of_the_session_that_ended_meanwhile(quiet_place: Place) -> None:
    with kernel(quiet_place) as first:
        first.check(f"%%gpu {SMALL} --idle-limit 8s\nprecious = [1]")
        killed(first)
    ended(quiet_place)
    with kernel(quiet_place) as second:
        said = second.run(f"%%gpu {SMALL}\nprecious").shown
        assert "The session 'default' has ended: no cell ran for 8 s (idle limit)" in said
        if quiet_place.name == "local":  # elsewhere the journal, and with it the names, went with the pod
            assert "Gone with it: precious" in said
            assert "NameLost: precious lived in the session and is gone" in said
        assert "has ended" not in second.check("%%gpu\n3 + 3").shown, "said once"
