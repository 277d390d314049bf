"""Which variables a cell's text says it changes."""

from __future__ import annotations

import pytest

from gpu_workbench.agent.inkernel.changes import changed_names


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("x = 1", {"x"}),
        ("x += 1", {"x"}),
        ("del x", {"x"}),
        ("import torch.nn, numpy as np", {"torch", "np"}),
        ("def f(): pass\nclass C: pass", {"f", "C"}),
        ("x[0] = 5", {"x"}),
        ("df['a'] = df['b']", {"df"}),
        ("df.loc[0, 'a'] = 1", {"df"}),
        ("del df['a']", {"df"}),
        ("model.training = False", {"model"}),
        ("model.layers[0].weight.data += 1", {"model"}),
        ("model.layers[0].weight.data.mul_(2)", {"model"}),
        ("items.append(1)", {"items"}),
        ("config['a'].update(b=1)", {"config"}),
        ("df.drop(columns='a', inplace=True)", {"df"}),
        ("np.add(x, 1, out=x)", {"x"}),
        ("clf.fit(X, y)", {"clf"}),
        ("for i in x: pass", {"i"}),
        ("x.sum(); df.head(); y[0]; model(x); df.drop(columns='a', inplace=False)", set()),
        ("make()['a'] = 1; x.copy().sort; x.__enter__()", set()),
        ("x = (", set()),
        ("x\0 = 1", set()),
    ],
)
def test_what_a_cell_says_it_changes(cell: str, names: set[str]) -> None:
    assert changed_names(cell) == names
