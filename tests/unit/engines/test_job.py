"""What a workload looks like as Kubernetes objects."""

import base64
import json
from dataclasses import replace

import pytest

from gpu_workbench.core.agent_config import load_agent_config
from gpu_workbench.core.errors import ProtocolError, TooLarge, UsageError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.objects import at, member, members
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Placement, Resources, Toleration, Volume, WorkloadSpec
from gpu_workbench.engines.job import (
    KEPT,
    SEALED_LIMIT,
    archive_manifest,
    job_manifest,
    root_manifest,
    secret_manifest,
    service_manifest,
    spec_of_root,
)
from gpu_workbench.engines.pod import OVERTIME, labels_of_kind

SPEC = WorkloadSpec(
    id="0123456789ab", owner="ab" * 8, name="default", notebook="/home/me/My notebook.ipynb", image="worker:1"
)


def pod_of(spec, **options):
    job = job_manifest(spec, root_uid="u1", archive_digest="ff00", **options)
    return member(job, "spec", "template", "spec")


def container_of(spec):
    (container,) = members(pod_of(spec), "containers")
    return container


def env_of(spec):
    return {item["name"]: item["value"] for item in container_of(spec)["env"]}


def test_the_root_says_what_was_asked_for_and_whose_it_is():
    root = root_manifest(SPEC)
    assert root["metadata"]["name"] == "gwb-0123456789ab"
    assert root["metadata"]["labels"] == {
        "gpu-workbench.dev/id": "0123456789ab",
        "gpu-workbench.dev/kind": "session",
        "gpu-workbench.dev/owner": "ab" * 8,
        "gpu-workbench.dev/name": "default",
        "gpu-workbench.dev/role": "root",
    }
    assert root["metadata"]["annotations"] == {"gpu-workbench.dev/notebook": "/home/me/My notebook.ipynb"}
    assert "ownerReferences" not in root["metadata"]
    assert spec_of_root(root) == SPEC


def test_what_the_agent_is_told_can_be_read_by_the_agent():
    config = load_agent_config(
        root_manifest(replace(SPEC, idle_limit=90.0, python="/opt/py"))["data"]["agent.json"]
    )
    assert (config.workload, config.kind, config.idle_limit) == (SPEC.id, Kind.SESSION, 90.0)
    assert config.listen.port == 7777
    assert config.python == "/opt/py"


@pytest.mark.parametrize("data", [{}, {"spec.json": "no JSON"}, {"spec.json": "[]"}, {"spec.json": "{}"}])
def test_somebody_elses_config_map_is_no_root(data):
    with pytest.raises(ProtocolError):
        spec_of_root({"data": data})


def test_everything_but_the_root_and_the_archive_belongs_to_the_root():
    secret = secret_manifest(SPEC, root_uid="u1", credentials={}, sealed={})
    job = job_manifest(SPEC, root_uid="u1", archive_digest="ff00")
    for child in (secret, service_manifest(SPEC, root_uid="u1"), job):
        assert child["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "gwb-0123456789ab", "uid": "u1"}
        ]
    archive = archive_manifest(b"PK", "ff00")
    assert "ownerReferences" not in archive["metadata"]
    assert archive["immutable"] is True
    assert base64.b64decode(archive["binaryData"]["agent.pyz"]) == b"PK"


def test_a_session_ends_with_its_pod():
    job = job_manifest(SPEC, root_uid="u1", archive_digest="ff00")["spec"]
    assert job["completionMode"] == "Indexed"
    assert (job["completions"], job["parallelism"]) == (1, 1)
    assert (job["backoffLimitPerIndex"], job["maxFailedIndexes"]) == (0, 1)
    assert job["ttlSecondsAfterFinished"] == KEPT
    assert "podFailurePolicy" not in job
    assert at(job, "template", "spec", "restartPolicy") == "Never"


def test_a_job_is_replaced_after_a_disruption_but_not_after_the_users_error():
    job = job_manifest(replace(SPEC, kind=Kind.JOB), root_uid="u1", archive_digest="ff00")["spec"]
    assert "backoffLimitPerIndex" not in job
    user_error, disruption = job["podFailurePolicy"]["rules"]
    assert user_error == {
        "action": "FailJob",
        "onExitCodes": {"containerName": "agent", "operator": "In", "values": [64]},
    }
    assert disruption == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }


def test_sealed_files_keep_their_folders_although_a_secret_has_none():
    sealed = {"job.json": b"{}", "project/src/model.py": b"x = 1", "a b.txt": b"\0"}
    secret = secret_manifest(SPEC, root_uid="u1", credentials={"token": b"t"}, sealed=sealed)
    settings = next(
        item for item in pod_of(SPEC, sealed_paths=tuple(sealed))["volumes"] if item["name"] == "settings"
    )
    items = next(
        source["secret"]["items"] for source in settings["projected"]["sources"] if "secret" in source
    )
    laid_out = {
        item["path"].removeprefix("sealed/"): base64.b64decode(secret["data"][item["key"]])
        for item in items
        if item["path"].startswith("sealed/")
    }
    assert laid_out == sealed
    assert secret["immutable"] is True


def test_a_secret_takes_768_kib_and_says_so():
    fits = {"a": b"x" * SEALED_LIMIT}
    secret_manifest(SPEC, root_uid="u1", credentials={}, sealed=fits)
    with pytest.raises(TooLarge, match="768 KiB"):
        secret_manifest(SPEC, root_uid="u1", credentials={}, sealed={**fits, "b": b"x"})


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../../up"])
def test_a_sealed_path_stays_in_its_folder(path):
    with pytest.raises(UsageError):
        secret_manifest(SPEC, root_uid="u1", credentials={}, sealed={path: b""})


def test_a_pod_has_no_more_rights_than_the_restricted_standard_allows():
    pod, container = pod_of(SPEC), container_of(SPEC)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_the_platform_may_choose_the_user():
    pod = pod_of(replace(SPEC, placement=Placement(user_id=None, group_id=None)))
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_no_secret_is_in_the_arguments_or_the_environment():
    secret = secret_manifest(SPEC, root_uid="u1", credentials={"token": b"s3cret-token"}, sealed={})
    assert base64.b64decode(secret["data"]["token"]) == b"s3cret-token"
    job = json.dumps(job_manifest(SPEC, root_uid="u1", archive_digest="ff00"))
    assert "s3cret" not in job + json.dumps(root_manifest(SPEC))
    assert container_of(SPEC)["command"] == ["python3", "/opt/gpu-workbench/agent.pyz"]
    assert container_of(SPEC)["args"] == ["--config", "/etc/gpu-workbench/agent.json"]


def test_whatever_wants_to_write_finds_a_folder_it_may_write_to():
    env = env_of(SPEC)
    mounts = {item["mountPath"]: item["name"] for item in container_of(SPEC)["volumeMounts"]}
    assert mounts["/gwb"] == mounts["/gwb/home"] == mounts["/tmp"] == "scratch"
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TRITON_CACHE_DIR"):
        assert env[name].startswith("/gwb/home")
    assert env["TMPDIR"] == "/tmp"
    assert env["USER"]
    volumes = {item["name"]: item for item in pod_of(SPEC)["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": str(10 * 2**30)}
    assert container_of(SPEC)["workingDir"] == "/gwb"


def test_a_user_may_move_a_cache_but_not_the_workloads_identity():
    env = env_of(
        replace(SPEC, env={"HF_HOME": "/cache", "HOME": "/cache/me", "GPU_WORKBENCH_WORKLOAD": "other"})
    )
    assert (env["HF_HOME"], env["HOME"]) == ("/cache", "/cache/me")
    assert env["GPU_WORKBENCH_WORKLOAD"] == SPEC.id


def test_resources_are_asked_for_as_kubernetes_counts_them():
    spec = replace(SPEC, resources=Resources(gpus=Gpus(2), cpus=0.5, memory=2**30, shared_memory=2**31))
    assert container_of(spec)["resources"] == {
        "requests": {"cpu": "500m", "memory": str(2**30), "nvidia.com/gpu": "2"},
        "limits": {"memory": str(2**30), "nvidia.com/gpu": "2"},
    }
    assert {"name": "shm", "mountPath": "/dev/shm"} in container_of(spec)["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(2**31)}} in pod_of(spec)[
        "volumes"
    ]
    assert container_of(SPEC)["resources"] == {}


def test_mig_slices_and_other_vendors_are_asked_for_by_their_own_names():
    spec = replace(SPEC, resources=Resources(gpus=Gpus(1), gpu_resource="amd.com/gpu"))
    assert container_of(spec)["resources"]["limits"] == {"amd.com/gpu": "1"}


@pytest.mark.parametrize(
    ("resolved", "expected"),
    [((), ["h200"]), (("NVIDIA-H200", "NVIDIA-H200-NVL"), ["NVIDIA-H200", "NVIDIA-H200-NVL"])],
)
def test_a_gpu_kind_becomes_the_nodes_that_have_it(resolved, expected):
    spec = replace(SPEC, resources=Resources(gpus=Gpus(2, "h200")))
    terms = at(
        pod_of(spec, gpu_labels=resolved),
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    )
    assert terms == {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": expected}]}
        ]
    }


LABELS = ["NVIDIA-H200", "NVIDIA-H200-NVL", "NVIDIA-L40S", "NVIDIA-L4", "NVIDIA-A100-SXM4-80GB", "Tesla-T4"]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("h200", ("NVIDIA-H200", "NVIDIA-H200-NVL")),
        ("NVIDIA-H200", ("NVIDIA-H200",)),
        ("l4", ("NVIDIA-L4",)),
        ("t4", ("Tesla-T4",)),
        ("a100-sxm4", ("NVIDIA-A100-SXM4-80GB",)),
        ("b300", ()),
        ("-", ()),
    ],
)
def test_a_kind_is_whole_words_of_the_label(kind, found):
    assert labels_of_kind(kind, LABELS) == found


def test_placement_is_the_profiles():
    place = Placement(
        node_selector={"pool": "gpu"},
        tolerations=(
            Toleration(key="gpu", operator="Exists"),
            Toleration(key="a", value="b", effect="NoSchedule"),
        ),
        service_account="runner",
        pull_secrets=("registry",),
        secrets=("hf-token",),
    )
    pod = pod_of(replace(SPEC, placement=place, time_limit=60.5))
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Exists"},
        {"key": "a", "value": "b", "effect": "NoSchedule"},
    ]
    assert pod["serviceAccountName"] == "runner"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "hf-token"}}]
    assert pod["activeDeadlineSeconds"] == 61 + OVERTIME


def test_a_claim_is_one_volume_however_often_it_is_mounted():
    spec = replace(
        SPEC,
        volumes=(
            Volume("data", "/data", read_only=True),
            Volume("data", "/out"),
            Volume("w", "/w", read_only=True),
        ),
    )
    claims = {
        item["name"]: item["persistentVolumeClaim"]
        for item in pod_of(spec)["volumes"]
        if "persistentVolumeClaim" in item
    }
    assert claims == {"claim-0": {"claimName": "data"}, "claim-1": {"claimName": "w", "readOnly": True}}
    mounts = [item for item in container_of(spec)["volumeMounts"] if item["name"].startswith("claim-")]
    assert mounts == [
        {"name": "claim-0", "mountPath": "/data", "readOnly": True},
        {"name": "claim-0", "mountPath": "/out"},
        {"name": "claim-1", "mountPath": "/w", "readOnly": True},
    ]
