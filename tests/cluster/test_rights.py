"""The rights that the backend needs: what we print is enough, and without each of them it says so or does without."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace

import pytest
import yaml

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.rights import RIGHTS, missing_rights, role_yaml
from gpu_workbench.core.capacity import Unseen
from gpu_workbench.core.errors import PermissionDenied, WorkbenchError
from gpu_workbench.core.objects import text
from gpu_workbench.core.spec import Placement, Resources, WorkloadSpec
from gpu_workbench.engines.status import head_pod
from tests.contract.conftest import facts_when

pytestmark = pytest.mark.timeout(180, func_only=True)


@pytest.fixture
def spec(cluster):
    real = Placement(node_selector={"kubernetes.io/os": "linux"})  # other tests make nodes that are none
    return WorkloadSpec(
        id=secrets.token_hex(6), image=cluster.images.worker, resources=Resources(cpus=0.05), placement=real
    )


class Someone:
    """A service account with the rights it is given, and a backend that acts as it."""

    def __init__(self, cluster, namespace, folder):
        self._cluster, self._namespace, self._folder = cluster, namespace, folder
        self._name = f"someone-{secrets.token_hex(3)}"

    def backend(self, rights):
        """A backend with these rights and no others."""
        user = f"system:serviceaccount:{self._namespace}:{self._name}"
        documents = list(yaml.safe_load_all(role_yaml(namespace=self._namespace, user=user, rights=rights)))
        for document in documents:
            if not document["kind"].endswith("Role"):
                document["roleRef"]["name"] = self._name
            document["metadata"]["name"] = self._name
        self._cluster.kubectl("-n", self._namespace, "create", "serviceaccount", self._name)
        self._cluster.kubectl("apply", "-f", "-", data=yaml.safe_dump_all(documents))
        config = json.loads(self._cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        token = self._cluster.kubectl("-n", self._namespace, "create", "token", self._name).strip()
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        path = self._folder / self._name
        path.write_text(json.dumps(config))
        return KubernetesBackend(kubeconfig=str(path), namespace=self._namespace)

    def clean(self):
        for kind in ("clusterrole", "clusterrolebinding"):
            self._cluster.kubectl("delete", kind, self._name, "--ignore-not-found")


@pytest.fixture
def someone(cluster, namespace, tmp_path):
    """Makes somebody new at each call."""
    made = []

    def make():
        made.append(Someone(cluster, namespace, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.clean()


async def use_everything(backend, spec):
    """One workload from its start to its end, with all that needs a right; what was refused, and whether it ran."""
    refused = []

    async def attempt(work):
        try:
            return await work
        except PermissionDenied as error:
            refused.append(str(error))
            return None

    handle = await attempt(backend.start(replace(spec, id=secrets.token_hex(6))))
    if handle is None:
        return refused, False
    facts = await facts_when(backend, handle, lambda facts: facts.agent_ready or "You may not" in facts.error)
    refused.append(facts.error)
    if facts.agent_ready:
        await attempt(speak(backend, handle))
        # the API server gives a log once the pod's own status says that it runs
        await facts_when(
            backend, handle, lambda facts: text(head_pod(facts.pods), "status", "phase") == "Running"
        )
        await attempt(backend.logs(handle))
    await attempt(backend.list(owner=handle.spec.owner))
    await attempt(backend.stop(handle, force=True))
    await attempt(backend.forget(handle))
    return [text for text in refused if text], facts.agent_ready


async def speak(backend, handle):
    """Make a connection; whether the agent listens already does not matter here."""
    channel = await backend.open(handle)
    try:
        await channel.state()
    except PermissionDenied:
        raise
    except WorkbenchError:
        pass
    finally:
        channel.close()


async def test_the_role_we_print_is_enough(someone, spec):
    backend = someone().backend(RIGHTS)
    assert await missing_rights(await backend.connect(), namespace=backend._namespace()) == ()
    assert (await backend.capacity(owner=await backend.owner())).unseen == ()
    refused, ran = await use_everything(backend, spec)
    assert refused == []
    assert ran
    await backend.close()


def without(right, verb):
    """All rights but one verb; what may be done everywhere may be done here, so that goes too."""
    fewer = [
        replace(item, verbs=tuple(other for other in item.verbs if item is not right or other != verb))
        for item in RIGHTS
        if not item.everywhere
    ]
    return [item for item in fewer if item.verbs]


@pytest.mark.parametrize(
    "right", [right for right in RIGHTS if right.needed], ids=lambda right: right.resource
)
async def test_a_needed_right_that_is_missing_is_named(someone, spec, right):
    async def check(verb):
        backend = someone().backend(without(right, verb))
        missing = await missing_rights(await backend.connect(), namespace=backend._namespace())
        assert [(gone, item) for gone, item in missing if not item.everywhere] == [(verb, right)]
        refused, _ = await use_everything(backend, spec)
        assert any(f"may not {verb} {right.resource}" in text for text in refused), (verb, refused)
        await backend.close()

    await asyncio.gather(*map(check, right.verbs))


async def test_without_any_other_right_a_session_still_starts_and_ends(someone, spec):
    async def check(right):
        backend = someone().backend([item for item in RIGHTS if item is not right])
        refused, ran = await use_everything(backend, spec)
        assert ran, right.resource
        assert all(f"may not {right.verbs[0]} {right.resource}" in text for text in refused), refused
        await backend.close()

    await asyncio.gather(*(check(right) for right in RIGHTS if not right.needed))


async def test_what_the_capacity_lacks_without_a_right_is_named(someone, namespace):
    """The rest is counted all the same."""

    async def check(gone):
        backend = someone().backend([item for item in RIGHTS if not gone(item)])
        found = await backend.capacity(owner=await backend.owner())
        await backend.close()
        return found

    blind, alone, unquoted = await asyncio.gather(
        check(lambda right: right.resource == "nodes"),
        check(lambda right: right.resource == "pods" and right.everywhere),
        check(lambda right: right.resource == "resourcequotas"),
    )
    assert blind.unseen == (Unseen("list", "nodes"),)
    assert all(kind.total is kind.free is None and kind.mine == 0 for kind in blind.kinds)
    assert alone.unseen == (Unseen("list", "pods"),)
    gpus = next(kind for kind in alone.kinds if kind.resource == "nvidia.com/gpu")
    assert (gpus.mine, gpus.others, gpus.free) == (0, None, None)
    assert gpus.total
    assert unquoted.unseen == (Unseen("list", "resourcequotas", namespace),)
    assert all(kind.free is not None for kind in unquoted.kinds)
