"""What a Dask cluster looks like as objects of its operator, and what its pods get."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from gpu_workbench.core.agent_config import load_agent_config
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Placement, Resources, Toleration, Volume, WorkloadSpec
from gpu_workbench.engines.dask import autoscaler_manifest, cluster_manifest, group_manifests
from gpu_workbench.engines.job import job_manifest, root_manifest

NAME = "gwb-0123456789ab"
SPEC = WorkloadSpec(
    id="0123456789ab",
    kind=Kind.DASK,
    name="etl",
    owner="ab" * 8,
    image="worker:1",
    resources=Resources(gpus=Gpus(2, "h200"), cpus=3.5, memory=64 * 2**30, shared_memory=2**30),
    dask=DaskCluster(n_workers=4, groups={"cpu": 8, "io": 0}),
)
EVERYTHING = replace(
    SPEC,
    python="/opt/python",
    env={"A": "1"},
    volumes=(Volume("data", "/data", read_only=True), Volume("out", "/out")),
    time_limit=3600.0,
    placement=Placement(
        namespace="team",
        node_selector={"pool": "gpu"},
        tolerations=(Toleration("nvidia.com/gpu", "Exists", "", "NoSchedule"),),
        service_account="runner",
        pull_secrets=("registry",),
        secrets=("hf-token",),
    ),
)
WORKERS_SETTINGS = "/etc/gpu-workbench/dask"


def cluster_of(spec: WorkloadSpec = SPEC, **options: Any) -> Any:
    return cluster_manifest(spec, root_uid="u1", archive_digest="ff00", **options)


def groups_of(spec: WorkloadSpec = SPEC) -> dict[str, Any]:
    """Further groups by their names."""
    made: list[Any] = group_manifests(spec, root_uid="u1", archive_digest="ff00")
    return {group["metadata"]["name"].removeprefix(f"{NAME}-"): group for group in made}


def scheduler_of(spec: WorkloadSpec = SPEC) -> Any:
    return cluster_of(spec)["spec"]["scheduler"]["spec"]


def worker_of(spec: WorkloadSpec = SPEC, group: str = "default") -> Any:
    made = cluster_of(spec) if group == "default" else groups_of(spec)[group]
    return made["spec"]["worker"]["spec"]


def pods_of(spec: WorkloadSpec = SPEC) -> dict[str, Any]:
    workers = {group: worker_of(spec, group) for group in ("default", *groups_of(spec))}
    return {"scheduler": scheduler_of(spec), **workers}


def container(pod: Any) -> Any:
    (found,) = pod["containers"]
    return found


def env(pod: Any) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(pod)["env"]}


def limits(pod: Any) -> dict[str, str]:
    found: dict[str, str] = container(pod)["resources"].get("limits", {})
    return found


# --- What the API server makes of the objects


@cache
def schema(kind: str) -> Any:
    """How the operator that is installed here describes its objects to the API server."""
    package = importlib.util.find_spec("dask_kubernetes")
    assert package is not None
    assert package.origin is not None
    chart = Path(package.origin).parent / "operator/deployment/helm/dask-kubernetes-operator"
    (version,) = yaml.safe_load((chart / f"crds/{kind.lower()}.yaml").read_text())["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def unknown(form: Any, schema: Any, path: str = "") -> Iterator[str]:
    """The fields that the schema does not name: the API server leaves them out without a word."""
    if isinstance(form, list):
        for number, item in enumerate(form):
            yield from unknown(item, schema.get("items", {}), f"{path}[{number}]")
    if not isinstance(form, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    named, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, value in form.items():
        if key in named:
            yield from unknown(value, named[key], f"{path}.{key}")
        elif isinstance(others, Mapping):
            yield from unknown(value, others, f"{path}.{key}")
        elif not others:
            yield f"{path}.{key}"


@pytest.mark.parametrize("spec", [SPEC, EVERYTHING, WorkloadSpec(id="0123456789ab", kind=Kind.DASK)])
def test_the_operators_api_takes_every_field_of_every_object(spec: WorkloadSpec) -> None:
    objects = [cluster_of(spec), *groups_of(spec).values(), autoscaler_manifest(spec, minimum=0, maximum=8)]
    assert len({made["kind"] for made in objects}) == (3 if spec.dask else 2)
    for made in objects:
        assert made["apiVersion"] == "kubernetes.dask.org/v1"
        described = schema(made["kind"])
        jsonschema.validate(made, described)
        own = {key: value for key, value in made.items() if key not in ("apiVersion", "kind", "metadata")}
        assert list(unknown(own, described)) == []


def test_what_an_api_server_would_leave_out_is_found() -> None:
    made = cluster_of()
    container(made["spec"]["scheduler"]["spec"])["nosuch"] = 1
    assert list(unknown({"spec": made["spec"]}, schema("DaskCluster"))) == [
        ".spec.scheduler.spec.containers[0].nosuch"
    ]


def test_every_object_is_found_by_its_labels_and_goes_with_the_root() -> None:
    for made in (cluster_of(), *groups_of().values()):
        assert made["metadata"]["labels"] == {
            "gpu-workbench.dev/id": "0123456789ab",
            "gpu-workbench.dev/kind": "dask",
            "gpu-workbench.dev/owner": "ab" * 8,
            "gpu-workbench.dev/name": "etl",
        }
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("ConfigMap", NAME, "u1")
    assert cluster_of()["metadata"]["name"] == NAME
    assert set(groups_of()) == {"cpu", "io"}
    assert all(group["spec"]["cluster"] == NAME for group in groups_of().values())


# --- Sizes, devices and limits


def test_each_group_has_the_workers_that_were_asked_for() -> None:
    assert cluster_of()["spec"]["worker"]["replicas"] == 4
    assert {name: group["spec"]["worker"]["replicas"] for name, group in groups_of().items()} == {
        "cpu": 8,
        "io": 0,
    }


def test_gpus_go_to_the_workers_of_the_default_group_and_to_nobody_else() -> None:
    pods = pods_of()
    assert limits(pods.pop("default"))["nvidia.com/gpu"] == "2"
    assert set(pods) == {"scheduler", "cpu", "io"}
    for pod in pods.values():
        assert "nvidia.com/gpu" not in limits(pod)
        assert "nvidia.com/gpu" not in container(pod)["resources"]["requests"]
        assert "affinity" not in pod, "it would wait for a node with GPUs"


def test_workers_with_gpus_go_where_that_kind_is() -> None:
    pod = cluster_of(gpu_labels=("NVIDIA-H200", "NVIDIA-H200-NVL"))["spec"]["worker"]["spec"]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"][0]["matchExpressions"] == [
        {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-H200", "NVIDIA-H200-NVL"]}
    ]


def test_a_scheduler_asks_for_little_and_for_no_more_than_a_worker() -> None:
    large, small = container(scheduler_of())["resources"], Resources(cpus=0.25, memory=2**29)
    assert large == {
        "requests": {"memory": str(4 * 2**30), "cpu": "1000m"},
        "limits": {"memory": str(4 * 2**30)},
    }
    assert container(scheduler_of(replace(SPEC, resources=small)))["resources"] == {
        "requests": {"memory": str(2**29), "cpu": "250m"},
        "limits": {"memory": str(2**29)},
    }
    assert "shm" not in {volume["name"] for volume in scheduler_of()["volumes"]}
    assert "shm" in {volume["name"] for volume in worker_of()["volumes"]}


def test_a_deployment_starts_pods_again_so_none_has_an_end_or_a_restart_policy_of_its_own() -> None:
    for pod in pods_of(EVERYTHING).values():
        assert not {"activeDeadlineSeconds", "restartPolicy", "subdomain"} & set(pod)


def test_the_operator_ends_it_when_it_was_idle_for_as_long_as_a_session_may_be() -> None:
    assert cluster_of(replace(SPEC, idle_limit=90.5))["spec"]["idleTimeout"] == 91
    root: Any = root_manifest(replace(SPEC, idle_limit=90.5, orphan_limit=10.0))
    config = load_agent_config(root["data"]["agent.json"])
    assert (config.idle_limit, config.orphan_limit) == (90.5, 10.0)
    assert not config.ends_itself, "a Deployment would start it again"


# --- Who gets what


def test_workers_get_the_certificate_and_neither_the_token_nor_the_agents_settings() -> None:
    for group in ("default", "cpu", "io"):
        pod = worker_of(EVERYTHING, group)
        named = {volume["name"]: volume for volume in pod["volumes"]}
        assert "settings" not in named
        assert {"key": "tls.crt", "path": "tls.crt"} in named["dask"]["secret"]["items"]
        assert [item["key"] for item in named["dask"]["secret"]["items"]] == ["tls.crt", "tls.key"]
        assert named["dask"]["secret"]["secretName"] == NAME
        others = [volume for name, volume in named.items() if name != "dask"]
        assert not any("secret" in volume or "projected" in volume for volume in others)
        assert {mount["mountPath"] for mount in container(pod)["volumeMounts"]} >= {WORKERS_SETTINGS, "/data"}
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} <= set(named)
        assert "ports" not in container(pod)


def test_everything_of_a_cluster_speaks_tls_and_knows_each_other_by_one_certificate() -> None:
    for pod, folder in (
        (scheduler_of(), "/etc/gpu-workbench"),
        (worker_of(), WORKERS_SETTINGS),
        (worker_of(group="cpu"), WORKERS_SETTINGS),
    ):
        found = env(pod)
        assert found["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
        assert found["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] == f"{folder}/tls.crt"
        for role in ("CLIENT", "SCHEDULER", "WORKER"):
            assert found[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] == f"{folder}/tls.crt"
            assert found[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] == f"{folder}/tls.key"
        mounted = [mount["mountPath"] for mount in container(pod)["volumeMounts"]]
        assert folder in mounted


def test_nobody_sets_encryption_off_by_a_variable_of_his_own() -> None:
    spec = replace(SPEC, env={"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "False", "MINE": "1"})
    for pod in pods_of(spec).values():
        names = [item["name"] for item in container(pod)["env"]]
        assert len(names) == len(set(names))
        assert (env(pod)["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"], env(pod)["MINE"]) == ("True", "1")


def test_the_agent_wraps_the_scheduler_and_both_ports_lead_to_it() -> None:
    root: Any = root_manifest(SPEC)
    config = load_agent_config(root["data"]["agent.json"])
    assert config.kind is Kind.DASK
    assert config.wrapped[:2] == ("-m", "distributed.cli.dask_scheduler")
    assert config.wrapped[2:4] == ("--protocol", "tls")
    service = cluster_of()["spec"]["scheduler"]["service"]
    assert service["selector"] == {"dask.org/cluster-name": NAME, "dask.org/component": "scheduler"}
    ports = {port["name"]: port["containerPort"] for port in container(scheduler_of())["ports"]}
    assert [(port["name"], port["port"], ports[port["targetPort"]]) for port in service["ports"]] == [
        ("tcp-comm", 8786, 8786),
        ("http-dashboard", 8787, 8787),
    ]
    assert str(ports["tcp-comm"]) in config.wrapped
    assert f":{ports['http-dashboard']}" in config.wrapped
    assert "--config" in container(scheduler_of())["args"]


MEMORY = str(64 * 2**30)


@pytest.mark.parametrize(
    ("change", "group", "expected"),
    [
        ({}, "default", {"--nthreads": "1", "--memory-limit": MEMORY}),
        ({"resources": Resources(gpus=Gpus(1))}, "default", {"--nthreads": "1"}),
        ({}, "cpu", {"--nthreads": "4", "--memory-limit": MEMORY, "--resources": "cpu=1e9"}),
        (
            {"dask": DaskCluster(threads=3, groups={"cpu": 1})},
            "default",
            {"--nthreads": "3", "--memory-limit": MEMORY},
        ),
        ({"resources": Resources(gpus=Gpus(0), cpus=1.5)}, "default", {"--nthreads": "2"}),
        ({"resources": Resources(gpus=Gpus(0))}, "default", {}),
    ],
)
def test_a_worker_is_told_its_threads_its_memory_and_the_resource_of_its_group(
    change: dict[str, Any], group: str, expected: dict[str, str]
) -> None:
    spec = replace(SPEC, **change)
    words = container(worker_of(spec, group))["args"]
    assert words.pop(0) == "dask-worker", "the agent becomes Dask's own worker"
    by_dask_cuda = group == "default" and spec.resources.gpus.count == 1
    assert ("--cuda" in words) == by_dask_cuda, "it would make a worker of each GPU"
    if by_dask_cuda:
        words.remove("--cuda")
    assert words.pop(0) == f"tls://{NAME}-scheduler:8786"
    words.remove("--no-dashboard")
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "--name": "$(DASK_WORKER_NAME)",
        "--local-directory": "/gwb/dask",
        **expected,
    }


def test_pods_have_no_more_rights_than_the_restricted_standard_allows() -> None:
    for pod in pods_of().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False


# --- The driver


def driver_of(drives: str) -> Any:
    spec = WorkloadSpec(id="ba9876543210", name="etl-driver", image="worker:1", drives=drives)
    job: Any = job_manifest(spec, root_uid="u1", archive_digest="ff00")
    return job["spec"]["template"]["spec"]


def test_a_driver_finds_the_scheduler_and_is_let_in_by_the_clusters_certificate() -> None:
    pod = driver_of("0123456789ab")
    found = env(pod)
    assert found["DASK_SCHEDULER_ADDRESS"] == f"tls://{NAME}-scheduler:8786"
    assert found["GPU_WORKBENCH_DRIVES"] == "0123456789ab"
    assert found["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"] == f"{WORKERS_SETTINGS}/tls.crt"
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "dask"]
    assert volume["secret"]["secretName"] == NAME
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]
    assert {"name": "dask", "mountPath": WORKERS_SETTINGS, "readOnly": True} in container(pod)["volumeMounts"]
    assert "settings" in {volume["name"] for volume in pod["volumes"]}, "its own agent's"


def test_a_session_that_drives_nothing_gets_nothing_of_dask() -> None:
    pod = driver_of("")
    assert "dask" not in {volume["name"] for volume in pod["volumes"]}
    assert not any(name.startswith("DASK") for name in env(pod))
