"""What a run of several ranks used."""

from __future__ import annotations

from gpu_workbench.agent.receipts import together
from gpu_workbench.core.model import Receipt

OWN = Receipt(seconds=10.0, waited=2.0, gpus=1, gpu_seconds=10.0, mean_utilisation=90.0, peak_memory=5)


def test_every_rank_holds_its_gpus_until_the_run_is_over() -> None:
    early = Receipt(
        seconds=4.0, gpus=3, gpu_seconds=12.0, mean_utilisation=50.0, peak_memory=7, simulated=True
    )
    found = together(OWN, [early])
    assert found == Receipt(
        seconds=10.0,
        waited=2.0,
        gpus=4,
        gpu_seconds=40.0,
        mean_utilisation=60.0,
        peak_memory=7,
        simulated=True,
    )


def test_what_was_not_measured_counts_for_nothing() -> None:
    unmeasured = Receipt(seconds=10.0, gpus=1)
    assert together(OWN, [unmeasured]).mean_utilisation == 90.0
    assert together(unmeasured, [unmeasured]).mean_utilisation is None
    assert together(unmeasured, [unmeasured]).peak_memory is None
    assert together(OWN, []) == OWN
