"""From a line to a spec: a flag wins over the profile, the profile over what is built in."""

from __future__ import annotations

import pytest

from gpu_workbench.app.config import read_config
from gpu_workbench.app.profiles import Profile, read_profiles
from gpu_workbench.app.settings import Settings
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources, Volume, WorkloadSpec, contradictions
from gpu_workbench.surfaces.flags import parse_cell_line
from gpu_workbench.surfaces.request import IMAGE_OF_THE_NOTEBOOK, asked_settings, build_spec, workload_fields

CLUSTER = Settings(backend="kubernetes", context="on", namespace="team")
PROFILE = """
profiles:
  big:
    image: profile/image
    python: /opt/python
    gpus: h200:2
    memory: 8Gi
    volumes: ["data:/data", "old:/models"]
    env: {A: profile, B: profile}
    secrets: [registry]
    idle-limit: 10m
"""


def profile() -> Profile:
    return read_profiles([read_config(PROFILE, source="f", level="user")])["big"]


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(IMAGE_OF_THE_NOTEBOOK, raising=False)


def build(line: str, *, settings: Settings = CLUSTER, profile: Profile | None = None) -> WorkloadSpec:
    return build_spec(
        parse_cell_line(line),
        profile=profile or read_profiles([])["default"],
        settings=settings,
        id="0123456789ab",
        owner="owner",
        notebook="notebook",
    )


def test_nothing_asked_is_this_notebooks_default_session() -> None:
    spec = build("", settings=Settings())
    assert spec == WorkloadSpec(
        id="0123456789ab", resources=Resources(gpus=Gpus(1)), owner="owner", notebook="notebook"
    )
    assert (spec.kind, spec.name) == (Kind.SESSION, "default")


def test_flags_win_over_the_profile_and_add_to_its_lists() -> None:
    spec = build(
        "--gpus 1 --image my/image --volume new:/models --env B=flag --env C=flag --secret HF_TOKEN --idle-limit 2h",
        profile=profile(),
    )
    assert spec.resources.gpus == Gpus(1)
    assert spec.resources.memory == 8 * 2**30
    assert spec.image == "my/image"
    assert spec.volumes == (Volume("data", "/data"), Volume("new", "/models"))
    assert spec.env == {"A": "profile", "B": "flag", "C": "flag"}
    assert spec.placement.secrets == ("registry", "hf-token")
    assert spec.idle_limit == 7200.0
    assert (spec.placement.context, spec.placement.namespace) == ("on", "team")


def test_what_the_flags_do_not_say_is_the_profiles() -> None:
    spec = build("", profile=profile())
    assert (spec.image, spec.resources.gpus, spec.env["A"]) == ("profile/image", Gpus(2, "h200"), "profile")


def test_on_this_machine_an_image_of_the_profile_means_nothing() -> None:
    spec = build("", profile=profile(), settings=Settings())
    assert (spec.image, spec.python, spec.volumes, spec.placement.secrets) == ("", "", (), ())
    assert spec.resources.gpus == Gpus(2, "h200")


def test_a_notebook_in_a_pod_lends_its_own_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IMAGE_OF_THE_NOTEBOOK, "hub/image")
    assert build("").image == "hub/image"
    assert build("", profile=profile()).image == "profile/image"
    assert build("--image x/y").image == "x/y"
    assert build("", settings=Settings()).image == ""


def test_a_detached_run_is_a_job_with_the_runs_name() -> None:
    spec = build("--detach --name baseline")
    assert (spec.kind, spec.name) == (Kind.JOB, "baseline")
    assert build("--session training").name == "training"


def test_only_what_was_asked_for_can_contradict_a_session() -> None:
    living = build("--gpus 1", profile=profile())
    assert (
        workload_fields(
            parse_cell_line("--out a --session training --detach --name x".replace("--detach ", ""))
        )
        == {}
    )
    asked = workload_fields(parse_cell_line("--gpus 2 --namespace team"))
    assert contradictions(asked, living) == ("--gpus 2 was asked, the session has 1",)


def test_a_profile_named_on_the_line_is_asked_for_too() -> None:
    asked = workload_fields(
        parse_cell_line("--profile big --gpus 4"), profile=profile(), backend="kubernetes"
    )
    assert asked["resources.gpus"] == Gpus(4)
    assert asked["image"] == "profile/image"


def test_flags_that_are_settings() -> None:
    flags = parse_cell_line("--gpus 1 --backend kubernetes --namespace team --profile big")
    assert asked_settings(flags) == {"backend": "kubernetes", "namespace": "team", "profile": "big"}
