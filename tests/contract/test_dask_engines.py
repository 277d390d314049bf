"""What people do with Dask: its collections, joblib's loops, and a model that the workers train together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import Desk
from tests.kernels import Notebook

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def nb(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    if desk.backend == "kubernetes":
        request.getfixturevalue("dask_operator")
    with desk.open() as made:
        made.check("%gpu dask --n-workers 2 --gpus 0 --cpus 0.1 --memory 768Mi", limit=120)
        made.check("client.wait_for_workers(2, timeout=90)", limit=120)
        yield made


def test_arrays(nb: Notebook) -> None:
    cell = """import dask.array as da
x = da.arange(1_000_000, chunks=100_000).reshape(1000, 1000)
int((x.T @ da.ones(1000, chunks=100)).sum().compute())"""
    assert nb.check(cell, limit=120).result == str(sum(range(1_000_000)))


def test_data_frames(nb: Notebook) -> None:
    cell = """import pandas as pd, dask.dataframe as dd
here = pd.DataFrame({'kind': ['a', 'b', 'c'] * 1000, 'value': range(3000)})
there = dd.from_pandas(here, npartitions=6)
found = there.groupby('kind').value.mean().compute().sort_index()
found.equals(here.groupby('kind').value.mean())"""
    assert nb.check(cell, limit=120).result == "True"


def test_delayed_functions(nb: Notebook) -> None:
    cell = """import dask
@dask.delayed
def square(x): return x * x
dask.delayed(sum)([square(i) for i in range(10)]).compute()"""
    assert nb.check(cell).result == "285"


def test_joblib(nb: Notebook) -> None:
    cell = """import joblib, os
with joblib.parallel_config(backend='dask'):
    seen = joblib.Parallel()(joblib.delayed(lambda i: (i * i, os.getpid()))(i) for i in range(20))
sum(value for value, _ in seen), os.getpid() in {pid for _, pid in seen}"""
    assert nb.check(cell, limit=120).result == "(2470, False)"


def test_a_model_that_the_workers_train_together(nb: Notebook) -> None:
    cell = """import dask.array as da, xgboost as xgb
from xgboost import dask as dxgb
rng = da.random.default_rng(7)
X = rng.normal(size=(4000, 5), chunks=(1000, 5))
y = (X[:, 0] * 3 - X[:, 1] > 0).astype(int)
trained = dxgb.train(client, {'objective': 'binary:logistic', 'max_depth': 3, 'nthread': 1},
                     dxgb.DaskDMatrix(client, X, y), num_boost_round=20, evals=[(dxgb.DaskDMatrix(client, X, y), 'train')])
losses = trained['history']['train']['logloss']
right = ((dxgb.predict(client, trained, X) > 0.5).astype(int) == y).mean().compute()
bool(losses[-1] < losses[0] / 2), bool(right > 0.95)"""
    assert nb.check(cell, limit=200).result == "(True, True)"


def test_a_client_that_has_closed_is_made_anew(nb: Notebook) -> None:
    nb.check("before = client; client.close()")
    nb.check("%gpu attach dask")
    assert nb.check("before is client, client.submit(lambda: 41 + 1).result()").result == "(False, 42)"
