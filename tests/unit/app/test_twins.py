"""Which of two copies of a variable has become another, and that it is said once."""

from __future__ import annotations

from gpu_workbench.app.twins import Twins
from gpu_workbench.core.model import NameInfo, RunState, Workload
from gpu_workbench.core.spec import Handle, WorkloadSpec

HANDLE = Handle(WorkloadSpec(id="w1", name="prep"), backend="local", started=0.0)


def session(bound_by: dict[str, str], sent: set[str]) -> list[tuple[Handle, Workload]]:
    names = {name: NameInfo("int", digest="d" if name in sent else "") for name in bound_by}
    runs = {"run-1": RunState("run-1", name="baseline")}
    return [(HANDLE, Workload("w1", names=names, bound_by=bound_by, runs=runs))]


def names(twins: Twins, found: list[tuple[Handle, Workload]], here: set[str]) -> list[str]:
    return [twin.name for twin in twins.apart(found, here)]


def test_only_a_name_that_was_sent_and_bound_again_by_a_run_is_another() -> None:
    found = session(
        {"sent": "", "again": "run-1", "theirs": "run-1", "gone": "run-1"}, {"sent", "again", "gone"}
    )
    (twin,) = Twins().apart(found, {"sent", "again", "theirs"})
    assert (twin.name, twin.session, twin.run) == ("again", "prep", "baseline")


def test_a_change_is_told_once_and_the_next_one_again() -> None:
    twins, found = Twins(), session({"x": "run-1"}, {"x"})
    twins.settle(twins.apart(found, {"x"}))
    assert names(twins, found, {"x"}) == []
    assert names(twins, session({"x": "run-2"}, {"x"}), {"x"}) == ["x"]


def test_what_was_brought_back_is_one_again_until_it_changes() -> None:
    twins, found = Twins(), session({"x": "run-1"}, {"x"})
    twins.brought(*found[0], "x")
    assert names(twins, found, {"x"}) == []
    assert names(twins, session({"x": "run-2"}, {"x"}), {"x"}) == ["x"]
