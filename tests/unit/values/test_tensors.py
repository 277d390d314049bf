"""Tensors and models of torch. Runs where torch is installed; the stand-in in ``test_pickles`` is for everywhere else."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gpu_workbench.values.codecs import decode, encode
from gpu_workbench.values.fingerprint import fingerprint

torch: Any = pytest.importorskip("torch", reason="torch is not installed")


def there_and_back(value: object) -> Any:
    encoded = encode(value)
    data = b"".join(encoded.chunks)
    return decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(10),
        lambda: torch.ones(200, 300),
        lambda: torch.ones(200, 300).T,
        lambda: torch.ones(3, dtype=torch.bfloat16),
        lambda: torch.tensor(True),
        lambda: torch.empty(0, 3),
        lambda: torch.ones(4, dtype=torch.complex64),
        lambda: torch.ones(4, dtype=torch.complex64).conj(),
        lambda: torch.ones(4, requires_grad=True),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.nn.Parameter(torch.ones(3)),
        lambda: torch.arange(100_000)[::7],
    ],
)
def test_a_tensor_comes_back_equal_and_usable(make: Any) -> None:
    value = make()
    back = there_and_back(value)
    assert type(back) is type(value)
    assert (back.dtype, back.shape, back.device, back.requires_grad) == (
        value.dtype,
        value.shape,
        value.device,
        value.requires_grad,
    )
    assert torch.equal(back.to_dense().resolve_conj(), value.to_dense().resolve_conj())
    with torch.no_grad():
        if back.layout is torch.strided and back.numel():
            back.zero_()
    assert fingerprint(value) == fingerprint(value)


def test_the_memory_of_a_tensor_is_sent_as_it_lies() -> None:
    value = torch.ones(1_000_000)
    encoded = encode(value)
    assert any(memoryview(part).nbytes == 4_000_000 for part in encoded.chunks.parts())


def test_a_model_and_its_optimizer_share_their_parameters() -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    assert encode(model).objects.keys() & encode(optimizer).objects.keys()
    model, optimizer = there_and_back((model, optimizer))
    before = model.weight.detach().clone()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


def test_a_model_trained_in_place_has_another_fingerprint() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.ReLU())
    before = fingerprint(model)
    assert fingerprint(model) == before
    with torch.no_grad():
        model[0].bias[7] += 1
    assert fingerprint(model) != before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_tensor_comes_back_on_its_device() -> None:
    assert there_and_back(torch.ones(3, device="cuda")).device.type == "cuda"
