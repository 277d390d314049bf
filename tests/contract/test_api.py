"""``import gpu_workbench as gw`` in a plain Python, on every backend."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from tests.contract.conftest import Place

pytestmark = pytest.mark.timeout(300, func_only=True)

HEAD = """
    import asyncio, json, sys
    import gpu_workbench as gw
    from gpu_workbench import aio

    factor = 3
    LITTLE = {"cpus": 0.05, "gpus": 0}
    seen = {}

    def scaled(number, *, plus=0):
        print("scaling", number)
        return factor * number + plus

    def unlucky():
        raise ValueError("no luck")
"""


def ran(place: Place, code: str) -> tuple[dict[str, Any], str]:
    """What the code noted in ``seen``, and what it printed before that."""
    body = f"{textwrap.dedent(HEAD)}\n{textwrap.dedent(code)}\nprint(json.dumps(seen))"
    process = place.python(body)
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    *printed, last = out.splitlines(keepends=True)
    return json.loads(last), "".join(printed)


def test_a_session_runs_code_calls_functions_and_holds_variables(quiet_place: Place) -> None:
    seen, printed = ran(
        quiet_place,
        """
        with gw.session(**LITTLE) as session:
            result = session.run("total = factor + 1; print('in there')", out="total")
            seen["run"] = [result.status.value, result.result()]
            seen["call"] = session.call(scaled, 2, plus=1)
            session.put("one", [1]); session.put(two=2, three="x")
            seen["get"] = [session.get("one"), session.get("two"), session.get("three")]
            seen["vars"] = {row.name: row.where for row in session.vars() if row.name in ("one", "factor")}
            try:
                session.call(unlucky)
            except gw.errors.RunFailed as error:
                seen["error"] = [type(error).__name__, str(error), "in unlucky" in str(error.__cause__)]
            try:
                session.get("nothing")
            except gw.errors.NotFound as error:
                seen["missing"] = str(error)
            session.keep("2h")
            seen["status"] = session.status().value
            seen["listed"] = [one.name for one in gw.list()]
        seen["after"] = [session.status().value, len(gw.list())]
        """,
    )
    assert printed == "in there\nscaling 2\n"
    assert seen["run"] == ["Succeeded", {"total": 4}]
    assert seen["call"] == 7
    assert seen["get"] == [[1], 2, "x"]
    assert seen["vars"] == {"one": "session", "factor": "both"}
    assert seen["error"][:2] == ["ValueError", "no luck"]
    assert "nothing" in seen["missing"]
    assert (seen["status"], seen["listed"]) == ("Running", ["default"])
    assert seen["after"] == ["Stopped", 0]


def test_a_run_gives_its_value_its_output_and_its_error(quiet_place: Place) -> None:
    (quiet_place.folder / "script.py").write_text("import sys; print('given', sys.argv[1]); sys.exit(3)")
    seen, _ = ran(
        quiet_place,
        """
        run = gw.submit(scaled, 5, name="five", **LITTLE)
        code = gw.submit("x = factor * 2; print(x)", out="x", **LITTLE)
        bad = gw.submit(unlucky, **LITTLE)
        script = gw.submit("script.py", 1, **LITTLE)
        seen["value"] = run.result(timeout=120)
        seen["logs"] = list(gw.attach("five").logs(follow=True))
        seen["again"] = gw.attach(run.id[:6]).result() if gw.attach(run.id).status().value == "Running" else None
        seen["code"] = code.result()
        seen["script"] = [script.wait(120).value, list(script.logs()), script.why()]
        try:
            bad.result()
        except gw.errors.RunFailed as error:
            seen["error"] = str(error)
        for one in (run, code, bad, script):
            one.stop()
        """,
    )
    assert (seen["value"], seen["logs"], seen["code"]) == (15, ["scaling 5"], {"x": 6})
    assert seen["script"] == ["Failed", ["given 1"], "The script ended with exit code 3"]
    assert seen["error"].endswith("ended as Failed: ValueError: no luck")


def test_the_awaitable_twins_do_the_same_beside_other_work(quiet_place: Place) -> None:
    seen, _ = ran(
        quiet_place,
        """
        @aio.remote(session="twins", **LITTLE)
        def doubled(number):
            return 2 * number

        async def main():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            async with await aio.session("twins", **LITTLE) as session:
                seen["call"] = await session.call(scaled, 2)
                seen["remote"] = await doubled(21)
                run = await aio.submit(scaled, 3, **LITTLE)
                seen["value"] = await run.result()
                seen["logs"] = [line async for line in run.logs()]
                slow = asyncio.create_task(session.run("import time\\nfor _ in range(600): time.sleep(0.1)"))
                while (await session.status()).value != "Running" or slow.done():
                    pass
                await asyncio.sleep(1)
                slow.cancel()
                try:
                    await slow
                except asyncio.CancelledError:
                    seen["after"] = (await session.run("print('free again')")).status.value
                await run.stop()
            ticking.cancel()
            seen["ticks"] = ticks > 20

        asyncio.run(main())
        """,
    )
    assert seen == {
        "call": 6,
        "remote": 42,
        "value": 9,
        "logs": ["scaling 3"],
        "after": "Succeeded",
        "ticks": True,
    }
