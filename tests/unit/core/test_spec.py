"""What is asked for: names, volumes, what contradicts a living session, and its wire form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import (
    Handle,
    Placement,
    Resources,
    RunSpec,
    Toleration,
    Volume,
    WorkloadSpec,
    check_name,
    contradictions,
    parse_volume,
    with_fields,
)
from gpu_workbench.core.wire import decode, encode_fields

ID = "0123456789ab"


@pytest.mark.parametrize("name", ["a", "default", "run-7", "a" * 48, "0"])
def test_names_that_a_kubernetes_object_can_carry(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 49, "a\n", "ä"])
def test_names_that_it_cannot(name: str) -> None:
    with pytest.raises(FlagError, match="at most 48"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("data:/data", Volume("data", "/data")),
        ("data:/data:ro", Volume("data", "/data", read_only=True)),
        ("data:/data:rw", Volume("data", "/data")),
    ],
)
def test_volumes(text: str, volume: Volume) -> None:
    assert parse_volume(text) == volume


@pytest.mark.parametrize(
    "text", ["", "data", "data:", ":/data", "data:data", "data:/data:x", "data:/data:ro:ro"]
)
def test_what_is_no_volume_says_how_to_write_it(text: str) -> None:
    with pytest.raises(FlagError, match="claim:/path"):
        parse_volume(text)


def test_flags_that_contradict_a_living_session_are_told_with_both_values() -> None:
    living = WorkloadSpec(id=ID, resources=Resources(gpus=Gpus(1)))
    asked = {"resources.gpus": Gpus(2), "image": "a/b:1", "name": "default"}
    assert contradictions(asked, living) == (
        "--gpus 2 was asked, the session has 1",
        "--image a/b:1 was asked, the session has none",
    )
    assert contradictions({"resources.gpus": Gpus(1)}, living) == ()


def test_a_count_of_gpus_is_content_with_any_kind() -> None:
    living = WorkloadSpec(id=ID, resources=Resources(gpus=Gpus(2, "h200")))
    assert contradictions({"resources.gpus": Gpus(2)}, living) == ()
    assert contradictions({"resources.gpus": Gpus(2, "h200")}, living) == ()
    assert contradictions({"resources.gpus": Gpus(2, "a100")}, living) == (
        "--gpus a100:2 was asked, the session has h200:2",
    )
    assert contradictions({"resources.gpus": Gpus(4)}, living) == (
        "--gpus 4 was asked, the session has h200:2",
    )


def test_what_a_session_has_among_others_is_no_contradiction() -> None:
    living = WorkloadSpec(
        id=ID,
        env={"LR": "0.1", "SEED": "1"},
        volumes=(Volume("data", "/data"), Volume("runs", "/runs")),
        placement=Placement(secrets=("hf-token", "wandb")),
    )
    asked = {"env": {"LR": "0.1"}, "volumes": (Volume("runs", "/runs"),), "placement.secrets": ("wandb",)}
    assert contradictions(asked, living) == ()
    asked = {
        "env": {"LR": "secret-new", "DEBUG": "secret-too"},
        "volumes": (Volume("runs", "/runs", read_only=True),),
        "placement.secrets": ("s3",),
    }
    found = contradictions(asked, living)
    assert found == (
        "--env LR: the session has another value",
        "--env DEBUG: the session has none",
        "--volume runs:/runs:ro: the session has none",
        "--secret s3: the session has none",
    )
    assert "secret-" not in " ".join(found)


def test_sizes_and_times_are_told_in_words() -> None:
    living = WorkloadSpec(id=ID, resources=Resources(memory=2**35, cpus=2), idle_limit=3600)
    assert contradictions(
        {"resources.memory": 2**36, "resources.cpus": 0.5, "idle_limit": 7200.0, "time_limit": 600.0}, living
    ) == (
        "--memory 64 GiB was asked, the session has 32 GiB",
        "--cpus 0.5 was asked, the session has 2",
        "--idle-limit 2 h 00 min was asked, the session has 1 h 00 min",
        "--time-limit 10 min 00 s was asked, the session has none",
    )


def test_what_only_a_profile_says_is_named_as_the_profiles() -> None:
    living = WorkloadSpec(id=ID)
    assert contradictions({"placement.node_selector": {"pool": "a"}, "placement.price": 2.0}, living) == (
        "the profile's node-selector pool: the session has none",
    )


def test_every_field_that_a_flag_sets_is_told_by_that_flag() -> None:
    from gpu_workbench.core.spec import _FLAGS
    from gpu_workbench.surfaces.flags import DASK_FLAGS, TARGET_FLAGS, WORKLOAD_FLAGS

    flags = (*WORKLOAD_FLAGS, *TARGET_FLAGS, *DASK_FLAGS)
    assert {flag.field: flag.name for flag in flags if flag.field} == _FLAGS


def test_dotted_fields_are_replaced_and_the_rest_stays() -> None:
    before = WorkloadSpec(id=ID, resources=Resources(gpus=Gpus(1), cpus=4))
    after = with_fields(before, {"resources.gpus": Gpus(2), "image": "a/b:1"})
    assert after.resources == Resources(gpus=Gpus(2), cpus=4)
    assert (after.image, after.id) == ("a/b:1", ID)
    assert before.resources.gpus == Gpus(1)


@pytest.mark.parametrize("path", ["colour", "resources.colour", "image.colour", "resources.gpus.count.more"])
def test_a_field_that_is_not_there_is_an_error(path: str) -> None:
    with pytest.raises(KeyError):
        with_fields(WorkloadSpec(id=ID), {path: 1})


def test_a_deeper_field_can_be_replaced() -> None:
    spec = with_fields(
        WorkloadSpec(id=ID, resources=Resources(gpus=Gpus(1, "h200"))), {"resources.gpus.count": 2}
    )
    assert spec.resources.gpus == Gpus(2, "h200")


texts = st.text(max_size=8)
resources = st.builds(
    Resources,
    gpus=st.builds(Gpus, st.integers(0, 16), texts),
    cpus=st.none() | st.floats(0.1, 256),
    memory=st.none() | st.integers(0, 2**50),
    scratch=st.integers(0, 2**50),
)
placements = st.builds(
    Placement,
    namespace=texts,
    node_selector=st.dictionaries(texts, texts, max_size=3),
    tolerations=st.lists(st.builds(Toleration, texts, texts, texts, texts), max_size=2).map(tuple),
    user_id=st.none() | st.integers(0, 2**31),
    pull_secrets=st.lists(texts, max_size=2).map(tuple),
    price=st.none() | st.floats(0, 1000),
)
specs = st.builds(
    WorkloadSpec,
    id=st.just(ID),
    kind=st.sampled_from(Kind),
    name=texts,
    resources=resources,
    placement=placements,
    volumes=st.lists(st.builds(Volume, texts, texts, st.booleans()), max_size=2).map(tuple),
    env=st.dictionaries(texts, texts, max_size=3),
    time_limit=st.none() | st.floats(1, 1e6),
)


@given(specs)
def test_a_spec_comes_back_from_its_wire_form(spec: WorkloadSpec) -> None:
    assert decode(WorkloadSpec, encode_fields(spec)) == spec


@given(specs, st.dictionaries(texts, texts, max_size=3))
def test_a_handle_comes_back_from_its_wire_form(spec: WorkloadSpec, address: dict[str, str]) -> None:
    handle = Handle(spec=spec, backend="local", started=1.5, address=address)
    assert decode(Handle, encode_fields(handle)) == handle


def test_a_run_comes_back_from_its_wire_form() -> None:
    run = RunSpec(id=ID, cell="1+1", out=("a", "b"), magic="%%gpu", count=3)
    assert decode(RunSpec, encode_fields(run)) == run
    assert encode_fields(RunSpec(id=ID, cell="1")) == {"id": ID, "cell": "1"}
