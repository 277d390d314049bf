"""A run that ended, whose folder is gone, and whose server was started anew: it is listed, and its output is there.

Also what a platform's operator can collect of it: the events.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from gpu_workbench.surfaces.server.event_log import SCHEMAS
from tests.contract.test_server import ask
from tests.kernels import Notebook, notebook
from tests.servers import USERS, Server, jupyter_server, tab

pytestmark = pytest.mark.timeout(180)

ADA, BOB = {"x-user": "ada"}, {"x-user": "bob"}
EVENTS = """
import logging
c.EventLogger.handlers = [logging.FileHandler({path!r})]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        yield made


class Place:
    """A server that can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = folder / "events.log"

    def server(self) -> Any:
        state = {"GPU_WORKBENCH_STATE_DIR": str(self.folder / ".state"), "JUPYTERHUB_USER": "ada"}
        config = USERS + EVENTS.format(path=str(self.events))
        return jupyter_server(self.folder / "server", env=state, config=config)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.events.read_text().splitlines()]


def phase(states: dict[str, Any], workload: str) -> str:
    """What a row says; a member that holds its default is left out."""
    return str(states["runs"][workload].get("phase", "Queued"))


async def watched(server: Server, nb: Notebook) -> tuple[str, str]:
    """A detached run and a cell's, seen by a browser from their beginning to their end: their ids."""
    async with tab(server, **ADA) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: "runs" in states)
        nb.check("%%gpu --detach --name told-to-nobody\nprint('seen, ' * 3)\n6 * 7")
        await seen.until(lambda states: states["runs"])
        (job,) = seen.states["runs"]
        await seen.until(lambda states: phase(states, job) == "Succeeded")
        nb.check("%gpu start")
        await seen.until(lambda states: len(states["runs"]) == 2)
        (session,) = seen.states["runs"].keys() - {job}
        await seen.until(lambda states: states["runs"][session].get("word") == "Idle")
        nb.check("%%gpu\nprint('in a session')")
        assert (await ask(server, "POST", f"runs/{session}/keep", **ADA))[0] == 400
        assert (await ask(server, "POST", f"runs/{session}/stop", **BOB))[0] == 403
        status, form = await ask(server, "DELETE", f"runs/{session}", **ADA)
        assert (status, form["error"]) == (409, "Conflict")
        assert (await ask(server, "POST", f"runs/{session}/stop", **ADA))[0] == 200
        await seen.until(lambda states: phase(states, session) == "Stopped")
    return job, session


async def test_it_is_there_again_until_it_is_forgotten(folder: Path, nb: Notebook) -> None:
    place = Place(folder)
    with place.server() as server:
        job, session = await watched(server, nb)
    shutil.rmtree(folder / ".state" / "local")
    check_events(place.told(), job, session)

    with place.server() as server:
        status, form = await ask(server, "GET", "runs", **BOB)
        assert status == 200
        rows: Any = form["runs"]
        assert rows.keys() == {job, session}
        assert {id_: row["recorded"] for id_, row in rows.items()} == {job: True, session: True}
        status, form = await ask(server, "GET", f"runs/{job}", **ADA)
        assert (form["recorded"], form["snapshot.phase"]) == (True, "Succeeded")
        assert form["snapshot.receipt"]["seconds"] >= 0  # type: ignore[call-overload,index]
        status, form = await ask(server, "GET", f"runs/{job}/outputs/{job}", **ADA)
        assert (status, form["complete"]) == (200, True)
        assert form["outputs"][0]["text"] == "seen, seen, seen, \n"  # type: ignore[index,call-overload]
        assert form["view"]["data"]["text/plain"]  # type: ignore[index,call-overload]
        status, form = await ask(server, "GET", f"runs/{job}/outputs/{job}", **BOB)
        assert (status, form["error"]) == (403, "PermissionDenied")
        status, _ = await ask(server, "DELETE", f"runs/{job}", **BOB)
        assert status == 403
        async with tab(server, **ADA) as seen:
            await seen.subscribe("runs")
            await seen.until(lambda states: job in states.get("runs", {}))
            assert (await ask(server, "DELETE", f"runs/{job}", **ADA))[0] == 200
            await seen.until(lambda states: job not in states["runs"])
        assert place.told()[-1]["action"] == "forget"
        status, form = await ask(server, "GET", f"runs/{job}", **ADA)
        assert (status, form["error"]) == (404, "RunNotFound")


def check_events(told: list[dict[str, Any]], job: str, session: str) -> None:
    """Each as its schema says, in order, and without a word of what ran."""
    schemas = {form["$id"]: form for form in map(yaml.safe_load, map(Path.read_text, SCHEMAS.glob("*.yaml")))}
    for form in told:
        schema = schemas[form["__schema__"]]
        Draft7Validator(schema).validate({key: form[key] for key in form if not key.startswith("__")})
    runs = [form for form in told if "change" in form]
    assert [form["change"] for form in runs if form["workload"] == job] == ["seen", "started", "ended"]
    end = next(form for form in runs if form["workload"] == job and form["change"] == "ended")
    assert (end["run"], end["kind"], end["phase"], end["gpus"]) == (job, "job", "Succeeded", 0)
    assert end["seconds"] >= 0
    assert end["gpu_seconds"] == 0
    inside = [form["change"] for form in runs if form["workload"] == session and form["run"]]
    assert inside in (
        ["seen", "started", "ended"],
        ["started", "ended"],
        [],
    )  # it may be over before it is seen
    whole = [form for form in runs if form["workload"] == session and not form["run"]]
    assert [form["change"] for form in whole][-1] == "ended"
    assert whole[-1]["phase"] == "Stopped"
    acts = [(form["action"], form["workload"], form["user"]) for form in told if "action" in form]
    assert acts == [("stop", session, "ada")], "what was refused was not done"
    text = json.dumps(told)
    assert "told-to-nobody" not in text
    assert "seen, seen" not in text
