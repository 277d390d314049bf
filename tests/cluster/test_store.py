"""What a store is for: what is too large for a Secret starts all the same, and output and results outlive every pod."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.core import url_to_fs

from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.settings import Settings
from gpu_workbench.app.workbench import Cell, Workbench
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.errors import ForgedValue
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import name_of
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec
from gpu_workbench.surfaces.picture import explanation_of
from tests.cluster.handle import Cluster

pytestmark = pytest.mark.timeout(300, func_only=True)

LIMIT = 120.0


@dataclass
class Stored:
    """Runs with a store.

    Args:
        store: As a profile names it.
        env: What pods need to use it.
        folder: Where what is stored lies on this machine, whatever keeps it.
        make: Makes a backend, as each process of the user has its own.
    """

    cluster: Cluster
    namespace: str
    store: str
    env: Mapping[str, str]
    folder: Path
    make: Callable[[], KubernetesBackend]

    def workbench(self, **names: Any) -> Workbench:
        """A process of the user's with these variables."""
        backend = self.make()
        return Workbench(Settings(backend="kubernetes"), {"__name__": "__main__", **names}, lambda _: backend)

    def spec(self) -> WorkloadSpec:
        return WorkloadSpec(
            id=secrets.token_hex(6),
            name="kept",
            image=self.cluster.images.worker,
            resources=Resources(cpus=0.05),
            store=self.store,
            env=self.env,
        )

    async def launch(self, workbench: Workbench, source: str, *, out: tuple[str, ...] = ()) -> Handle:
        package = await workbench.seal("kubernetes", self.spec(), Cell(source=source, out=out))
        return await workbench.launch("kubernetes", package)

    async def gone(self, handle: Handle) -> None:
        """Wait until the run has ended and no agent is left to ask."""
        workbench = self.workbench()
        subscription = await workbench.follow("kubernetes", handle)
        await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
        if not subscription.over:
            await workbench.stop("kubernetes", handle)
        await asyncio.wait_for(subscription.ended(), LIMIT)
        await subscription.close()
        await workbench.close()

    def forge(self, pattern: str) -> None:
        """Have somebody else who may write to the store replace what is there."""
        for path in self.folder.glob(pattern):
            content = path.read_bytes()[::-1]
            if self.store.startswith("pvc:"):
                path.write_bytes(content)
            else:
                fs, root = url_to_fs(self.store, skip_instance_cache=True)
                fs.pipe_file(f"{root}/{path.relative_to(self.folder)}", content)

    async def output(self, workbench: Workbench, handle: Handle) -> str:
        """All it wrote, as `%gpu logs` shows it."""
        replay = await Replay.begin(workbench.backend("kubernetes"), handle)
        text = ""
        async for batch in replay.outputs(follow=True):
            text += "".join(str(event.content.get("text", "")) for event in batch)
        await replay.close()
        return text


@pytest.fixture(params=["pvc", "s3"])
def stored(
    cluster: Cluster,
    namespace: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stored]:
    """Each kind of store."""

    def make() -> KubernetesBackend:
        return KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)

    if request.param == "pvc":
        folder = cluster.volume("runs", namespace=namespace) / "team"
        folder.mkdir()
        folder.chmod(0o777)
        yield Stored(cluster, namespace, "pvc://runs/team", {}, folder, make)
        return
    folder = tmp_path / "buckets" / "runs" / "team"
    folder.mkdir(parents=True)
    with cluster.s3(tmp_path / "buckets") as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield Stored(cluster, namespace, "s3://runs/team", env, folder, make)


@pytest.fixture
async def workbench(stored: Stored) -> AsyncIterator[Workbench]:
    made = stored.workbench(array=np.arange(500_000.0), word="seven")
    yield made
    await made.close()


async def test_a_run_too_large_for_a_secret_is_sealed_and_all_of_it_outlives_its_pod(
    stored: Stored, workbench: Workbench
) -> None:
    sent: list[tuple[int, int]] = []
    package = await workbench.seal(
        "kubernetes",
        stored.spec(),
        Cell(
            source="print(word)\ntotal, doubled = float(array.sum()), array * 2\nprint('done')",
            out=("total", "doubled"),
        ),
    )
    assert package.sealed.size > 4_000_000
    handle = await workbench.launch("kubernetes", package, progress=lambda *moved: sent.append(moved))
    assert sent[-1][0] == sent[-1][1] >= 4_000_000
    await stored.gone(handle)
    later = stored.workbench()
    results = await later.results("kubernetes", handle)
    assert results["total"] == 124_999_750_000.0
    assert np.array_equal(results["doubled"], np.arange(500_000.0) * 2)  # type: ignore[arg-type]
    assert await stored.output(later, handle) == "seven\ndone\n"
    await later.close()


async def test_a_small_run_needs_no_second_pod_to_start(stored: Stored, workbench: Workbench) -> None:
    handle = await stored.launch(workbench, "answer = 6 * 7", out=("answer",))
    jobs = stored.cluster.kubectl("-n", stored.namespace, "get", "jobs", "-o", "name").split()
    assert jobs == [f"job.batch/gwb-{handle.id}"]
    await stored.gone(handle)
    assert await workbench.results("kubernetes", handle) == {"answer": 42}
    assert [found.id for found in await workbench.backend("kubernetes").list(owner=handle.spec.owner)] == [
        handle.id
    ]


async def test_a_stored_result_that_somebody_else_wrote_is_refused_unread(
    stored: Stored, workbench: Workbench
) -> None:
    handle = await stored.launch(
        workbench, "secret = {1: 'a pickle, for its key is no text'}", out=("secret",)
    )
    await stored.gone(handle)
    stored.forge(f"{handle.id}/results/secret")
    with pytest.raises(ForgedValue, match="secret"):
        await workbench.results("kubernetes", handle)


async def test_a_sealed_value_that_somebody_else_wrote_is_refused_unread(
    stored: Stored, workbench: Workbench
) -> None:
    package = await workbench.seal("kubernetes", stored.spec(), Cell(source="array.sum()"))
    gate = "gwb-test/gate"
    spec = replace(
        package.spec, placement=replace(package.spec.placement, node_selector={gate: stored.namespace})
    )
    handle = await workbench.launch("kubernetes", replace(package, spec=spec))
    stored.forge(f"{handle.id}/sealed/values/*")
    node = stored.cluster.ready_node()
    stored.cluster.kubectl("label", "node", node, f"{gate}={stored.namespace}")
    try:
        subscription = await workbench.follow("kubernetes", handle)
        await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
        outcome = outcome_of(subscription)
        assert outcome is not None
        assert outcome.phase is Phase.FAILED
        assert "not what" in outcome.sentence
        await subscription.close()
    finally:
        stored.cluster.kubectl("label", "node", node, f"{gate}-")


async def test_the_output_of_every_life_of_a_run_is_kept_in_order(
    stored: Stored, workbench: Workbench
) -> None:
    handle = await stored.launch(
        workbench, "import os, time\nprint('on', os.uname().nodename, flush=True)\ntime.sleep(10)"
    )
    subscription = await workbench.follow("kubernetes", handle)
    with subscription.feed() as feed:
        while "on gwb-" not in str(await feed.take(LIMIT)):
            pass
    assert subscription.facts is not None
    pod = name_of(subscription.facts.pods[0])
    stored.cluster.kubectl("-n", stored.namespace, "delete", "pod", pod, "--wait=false")
    await subscription.close()
    await stored.gone(handle)
    later = stored.workbench()
    first, second = (await stored.output(later, handle)).splitlines()
    assert (first[:7], second[:7]) == ("on gwb-", "on gwb-")
    await later.close()


async def test_forgetting_a_run_takes_what_is_stored_along_and_nothing_else(
    stored: Stored, workbench: Workbench
) -> None:
    first = await stored.launch(workbench, "1")
    second = await stored.launch(workbench, "2")
    await stored.gone(first)
    await stored.gone(second)
    await workbench.backend("kubernetes").forget(first)
    assert [path.name for path in stored.folder.iterdir() if any(path.rglob("*.*"))] == [second.id]


@pytest.mark.parametrize("stored", ["pvc"], indirect=True)
async def test_a_claim_that_is_not_there_is_named_by_why(stored: Stored, workbench: Workbench) -> None:
    spec = replace(stored.spec(), store="pvc://nothing")
    handle = await workbench.launch("kubernetes", await workbench.seal("kubernetes", spec, Cell(source="1")))
    subscription = await workbench.follow("kubernetes", handle)

    def told() -> bool:
        found = explanation_of(subscription)
        return found is not None and found.code == "claim-missing"

    await asyncio.wait_for(subscription.until(told), 60)
    await workbench.stop("kubernetes", handle)
    await subscription.close()


@pytest.mark.parametrize("stored", ["pvc"], indirect=True)
async def test_an_image_that_cannot_use_the_store_says_what_it_lacks(
    stored: Stored, workbench: Workbench
) -> None:
    spec = replace(stored.spec(), store="gcs://bucket")
    handle = await workbench.launch("kubernetes", await workbench.seal("kubernetes", spec, Cell(source="1")))
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
    outcome = outcome_of(subscription)
    assert outcome is not None
    assert outcome.phase is Phase.FAILED
    assert "The image has no gcsfs, which the store gcs://bucket needs" in outcome.sentence
    await subscription.close()
