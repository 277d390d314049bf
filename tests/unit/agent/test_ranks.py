"""Which rank an agent is of, and what it and its processes are told of that."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_workbench.agent.ranks import NEVER, RANK, Place
from gpu_workbench.core.port import DEFAULT_PORT


def form(**gang: Any) -> dict[str, Any]:
    return {
        "state_dir": "/s",
        "listen": {"port": 8890},
        "termination_file": "/t",
        "idle_limit": 60.0,
        "gang": gang,
    }


POD = form(nodes=2, procs=4, node_env="INDEX", head="h:8890", rendezvous="h:29500")
HERE = {**form(nodes=2, procs=2, head="/s/a", rendezvous="127.0.0.1:4000"), "listen": {"socket": "/s/a"}}


def test_a_workload_without_a_gang_is_rank_0_of_one_and_told_nothing() -> None:
    place = Place({"state_dir": "/s"}, {})
    assert (place.rank, place.world_size, list(place.others)) == (0, 1, [])
    assert place.config(form()) == form()
    assert place.payload_environment({}) == {}


def test_a_pod_that_is_no_part_of_an_indexed_job_is_the_first() -> None:
    assert Place(form(node_env="INDEX"), {}).rank == 0


def test_the_first_agent_of_a_pod_starts_those_of_its_node() -> None:
    place = Place(POD, {"INDEX": "1"})
    assert (place.rank, place.node, place.local_rank, place.world_size) == (4, 1, 0, 8)
    assert list(place.others) == [5, 6, 7]
    other = Place(POD, place.environment_of(6, {"INDEX": "1", "HOME": "/h"}))
    assert (other.rank, other.node, other.local_rank, list(other.others)) == (6, 1, 2, [])


def test_agents_of_one_pod_share_files_and_neither_port_nor_state_nor_last_words() -> None:
    first = Place(POD, {"INDEX": "0"}).config(POD)
    assert first == POD
    bare = {**POD, "listen": {}}  # the default is not written
    other = Place(POD, {"INDEX": "0", RANK: "2"}).config(bare)
    assert other["listen"] == {"port": DEFAULT_PORT + 2}
    other = Place(POD, {"INDEX": "0", RANK: "2"}).config(POD)
    assert other["listen"] == {"port": 8892}
    assert other["state_dir"] == "/s/rank-2"
    assert other["termination_file"] == ""
    assert other["idle_limit"] == NEVER  # the head ends it


def test_the_head_starts_all_where_all_nodes_are_this_machine() -> None:
    place = Place(HERE, {})
    assert list(place.others) == [1, 2, 3]
    other = Place(HERE, place.environment_of(3, {}))
    assert other.config(HERE)["listen"] == {"socket": "/s/a.3"}
    assert (other.node, other.local_rank) == (1, 1)


def test_nodes_that_are_this_machine_divide_its_devices() -> None:
    machine = {"CUDA_VISIBLE_DEVICES": "a,b,c,d"}
    place = Place(HERE, machine)
    assert place.own_devices(machine) == {"CUDA_VISIBLE_DEVICES": "a,b"}
    shown = [place.environment_of(rank, machine)["CUDA_VISIBLE_DEVICES"] for rank in place.others]
    assert shown == ["a,b", "c,d", "c,d"]


def test_a_process_is_told_what_torchrun_would_tell_it() -> None:
    told = Place(POD, {"INDEX": "1", RANK: "6"}).payload_environment({})
    wanted = {
        "RANK": "6",
        "LOCAL_RANK": "2",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "4",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "h",
        "MASTER_PORT": "29500",
        "OMP_NUM_THREADS": "1",
    }
    assert told.items() >= wanted.items()


@pytest.mark.parametrize(("procs", "set_to", "found"), [(2, "4", "4"), (2, None, "1"), (1, None, None)])
def test_threads_are_one_for_each_process_unless_somebody_says_otherwise(
    procs: int, set_to: str | None, found: str | None
) -> None:
    place = Place(form(nodes=2, procs=procs, node_env="INDEX", rendezvous="h:1"), {"INDEX": "0"})
    environment = {} if set_to is None else {"OMP_NUM_THREADS": set_to}
    assert place.payload_environment(environment).get("OMP_NUM_THREADS") == found
