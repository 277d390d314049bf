"""Profiles: what they fill, who overrides whom, what a wrong one says, and the schema editors are given."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from gpu_workbench.app.config import load, read_config, user_file
from gpu_workbench.app.profile_fields import FIELDS
from gpu_workbench.app.profiles import Profile, pick, profile_schema, read_profiles
from gpu_workbench.core.errors import ProfileError
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Placement, Resources, Toleration, Volume, WorkloadSpec, with_fields

SCHEMA_FILE = Path(__file__).parents[3] / "docs/reference/profile.schema.json"

WHOLE = """
profiles:
  big:
    image: registry.example/torch:2.6
    python: /opt/conda/bin/python
    gpus: h200:2
    gpu-resource: example.com/gpu
    gpu-label: example.com/product
    cpus: 7500m
    memory: 64Gi
    shared-memory: 16Gi
    scratch: 20Gi
    volumes: [datasets:/data:ro, "models:/models"]
    env: {NCCL_DEBUG: WARN, DEBUG: yes}
    secrets: [hugging-face]
    store: s3://team-runs
    node-selector: {pool: gpu}
    tolerations:
      - {key: gpu, operator: Exists, effect: NoSchedule}
    service-account: notebooks
    pull-secrets: [registry]
    user-id: null
    group-id: 100
    idle-limit: 30m
    orphan-limit: 90s
    time-limit: 8h
    price: 3.20
    currency: EUR
"""


def read(text: str, *more: str) -> dict[str, Profile]:
    files = [read_config(one, source=f"f{n}", level="user") for n, one in enumerate((text, *more))]
    return read_profiles(files)


def test_a_profile_fills_the_whole_of_a_spec() -> None:
    profile = read(WHOLE)["big"]
    spec = with_fields(WorkloadSpec(id="0" * 12), profile.fields(backend="kubernetes"))
    assert spec == WorkloadSpec(
        id="0" * 12,
        image="registry.example/torch:2.6",
        python="/opt/conda/bin/python",
        resources=Resources(
            gpus=Gpus(2, "h200"),
            gpu_resource="example.com/gpu",
            gpu_label="example.com/product",
            cpus=7.5,
            memory=64 * 2**30,
            shared_memory=16 * 2**30,
            scratch=20 * 2**30,
        ),
        placement=Placement(
            node_selector={"pool": "gpu"},
            tolerations=(Toleration(key="gpu", operator="Exists", effect="NoSchedule"),),
            service_account="notebooks",
            pull_secrets=("registry",),
            user_id=None,
            group_id=100,
            secrets=("hugging-face",),
            price=3.2,
            currency="EUR",
        ),
        volumes=(Volume("datasets", "/data", read_only=True), Volume("models", "/models")),
        env={"NCCL_DEBUG": "WARN", "DEBUG": "yes"},
        store="s3://team-runs",
        idle_limit=1800.0,
        orphan_limit=90.0,
        time_limit=8 * 3600.0,
    )


def test_on_this_machine_only_what_means_something_here_is_kept() -> None:
    fields = read(WHOLE)["big"].fields(backend="local")
    assert set(fields) == {
        "resources.gpus",
        "resources.cpus",
        "resources.memory",
        "env",
        "idle_limit",
        "orphan_limit",
        "time_limit",
    }


def test_every_key_of_the_table_is_in_the_whole_one() -> None:
    assert set(read(WHOLE)["big"].values) | {"cache"} == set(FIELDS)


def test_a_cache_volume_is_mounted_and_pointed_at() -> None:
    profile = read("profiles: {a: {cache: 'downloads:/cache', env: {HF_HOME: /mine}, volumes: ['d:/d']}}")[
        "a"
    ]
    fields = profile.fields(backend="kubernetes")
    assert fields["volumes"] == (Volume("d", "/d"), Volume("downloads", "/cache"))
    assert fields["env"] == {
        "HF_HOME": "/mine",
        "TORCH_HOME": "/cache/torch",
        "PIP_CACHE_DIR": "/cache/pip",
    }
    assert "env" not in read("profiles: {a: {cache: 'downloads:/cache'}}")["a"].fields(backend="local")


def test_later_files_override_key_by_key_and_origins_are_kept() -> None:
    profiles = read(
        "profiles:\n  a:\n    gpus: 1\n    memory: 8Gi\n", "profiles:\n  a:\n    gpus: 2\n  b: {}\n"
    )
    assert set(profiles) == {"default", "a", "b"}
    assert profiles["a"].values == {"gpus": Gpus(2), "memory": 8 * 2**30}
    assert profiles["a"].origins == {"gpus": "f1:3", "memory": "f0:4"}


def test_namespace_hub_user_and_project_in_this_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_WORKBENCH_HUB_CONFIG", str(home / "hub.yaml"))
    user_file().parent.mkdir(parents=True)
    text = "profiles: {{default: {{image: {0}, env: {{{0}: x}}, {1}: 1}}}}"
    (home / "hub.yaml").write_text(text.format("hub", "cpus"))
    user_file().write_text(text.format("user", "memory"))
    (home / "gpu-workbench.yaml").write_text(text.format("project", "gpus"))
    namespace = read_config(text.format("ns", "scratch"), source="ConfigMap gpu-workbench", level="namespace")
    profile = read_profiles([namespace, *load(project=home).files])["default"]
    assert profile.values["image"] == "project"
    assert profile.origins == {
        "image": "~/gpu-workbench.yaml:1",
        "env": "~/gpu-workbench.yaml:1",
        "scratch": "ConfigMap gpu-workbench:1",
        "cpus": "~/hub.yaml:1",
        "memory": "~/.config/gpu-workbench/config.yaml:1",
        "gpus": "~/gpu-workbench.yaml:1",
    }


def test_a_namespace_sets_profiles_alone() -> None:
    with pytest.raises(ProfileError, match="backend cannot be set here"):
        read_config("backend: kubernetes", source="ConfigMap", level="namespace")


def test_the_default_profile_is_always_there() -> None:
    assert pick(read(""), "default").fields(backend="kubernetes") == {}


def test_an_unknown_profile_suggests_the_nearest() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'h20'. Did you mean h200\?"):
        pick(read("profiles: {h200: {}}"), "h20")
    with pytest.raises(ProfileError, match="There are big, default"):
        pick(read("profiles: {big: {}}"), "xyz")


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("{imgae: x}", r"f0, line 2: nothing is called 'imgae' here. Did you mean image\?"),
        ("{queue: x}", "nothing is called 'queue' here"),
        ("{gpus: many}", "line 2: a.gpus: 'many' cannot be read. Write a number or kind:number"),
        ("{memory: 16 apples}", "a.memory: '16 apples' cannot be read. Write it as Kubernetes does"),
        ("{cpus: -1}", "a.cpus: '-1' cannot be read"),
        ("{time-limit: soon}", "a.time-limit: 'soon' cannot be read"),
        ("{user-id: 0}", "a.user-id: '0' cannot be read. Write a whole number above 0"),
        ("{image: }", "a.image has no value. Write 'image: value'"),
        ("{image: [x]}", "a.image is not a single value"),
        ("{volumes: 'data:/data'}", "a.volumes is not a list"),
        ("{volumes: [data]}", "a.volumes: 'data' cannot be read. Write claim:/path"),
        ("{volumes: ['a:/data', 'b:/data/']}", "mounts a and b at one path"),
        ("{volumes: ['a:/data'], cache: 'b:/data'}", "mounts a and b at one path"),
        ("{cache: 'b:/data:ro'}", "Leave :ro out"),
        ("{env: [A=1]}", "a.env is not a mapping"),
        ("{env: {A B: 1}}", "'A B' is no name of a variable"),
        ("{node-selector: {a: [b]}}", "a.node-selector.a is not a single value"),
        ("{tolerations: [{kye: gpu}]}", r"nothing is called 'kye' here. Did you mean key\?"),
        ("{tolerations: [{key: gpu, effect: Never}]}", "a.tolerations.effect is 'Never'. Write NoSchedule,"),
        ("{price: cheap}", "a.price: 'cheap' cannot be read"),
        ("3", "a is not a mapping"),
    ],
)
def test_a_wrong_profile_says_file_line_key_and_what_is_allowed(profile: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        read(f"profiles:\n  a: {profile}\n")


def test_a_value_in_env_is_not_repeated_by_an_error() -> None:
    with pytest.raises(ProfileError) as caught:
        read("profiles: {a: {env: {TOKEN: [s3cret]}}}")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Big", "a_b", "-a", "''"])
def test_a_profile_is_named_like_an_object(name: str) -> None:
    with pytest.raises(ProfileError, match=r"line 1: .* is not a profile's name"):
        read(f"profiles: {{{name}: {{}}}}")


# --- The schema


def test_the_schema_in_the_documentation_is_the_one_of_the_code() -> None:
    written = json.loads(SCHEMA_FILE.read_text())
    assert written == profile_schema(), (
        "python -m gpu_workbench.app.profiles > docs/reference/profile.schema.json"
    )


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(profile_schema())


def accepted_by_schema(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(profile_schema()).is_valid(yaml.safe_load(text)))


def test_the_schema_accepts_what_is_read() -> None:
    assert accepted_by_schema(WHOLE)
    for key, field in FIELDS.items():
        text = f"profiles:\n  a:\n    {field.example}\n"
        assert accepted_by_schema(text), key
        assert key in read(text)["a"].values


@pytest.mark.parametrize(
    "profile",
    [
        "{imgae: x}",
        "{gpus: many}",
        "{user-id: 0}",
        "{volumes: [data]}",
        "{tolerations: [{kye: a}]}",
        "{memory: 16 apples}",
        "3",
    ],
)
def test_the_schema_refuses_what_is_refused(profile: str) -> None:
    text = f"profiles: {{a: {profile}}}"
    assert not accepted_by_schema(text)
    with pytest.raises(ProfileError):
        read(text)
