"""Constants that scale the maps of a data set to the range of a tanh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from crysformer.data.examples.stream import fixed_batches
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentTable

_BATCH = 64


def map_scales(train: pa.Table, recipe: Recipe, seed: int, n_examples: int) -> dict[str, Any]:
    """Extremes and root mean square of density and Patterson maps of training examples.

    Parameters
    ----------
    train
        Training rows (`store.SCHEMA`).
    recipe
        The recipe they were made by.
    seed
        Seed of the choice of rows.
    n_examples
        Number of rows used, drawn without replacement.

    Returns
    -------
    For ``density`` (e/A^3) and ``patterson`` (e^2/A^3): ``min``, ``max``, ``rms`` and ``scale``,
    the larger of max and -min; and ``n_examples``.
    """
    n = min(n_examples, train.num_rows)
    rows = np.sort(np.random.default_rng(seed).choice(train.num_rows, n, replace=False))
    table = FragmentTable.from_arrow(train.take(rows), "train", recipe.n_residues)
    low = {"density": np.inf, "patterson": np.inf}
    high = {"density": -np.inf, "patterson": -np.inf}
    squares = {"density": 0.0, "patterson": 0.0}
    voxels = 0
    for batch in fixed_batches(table, recipe, _BATCH):
        voxels += batch.density.numel()
        for name in low:
            values = getattr(batch, name)
            low[name] = min(low[name], float(values.min()))
            high[name] = max(high[name], float(values.max()))
            squares[name] += float(values.double().square().sum())
    scales: dict[str, Any] = {"n_examples": n}
    for name in low:
        scales[name] = {
            "scale": max(high[name], abs(low[name])),
            "min": low[name],
            "max": high[name],
            "rms": (squares[name] / voxels) ** 0.5,
        }
    return scales
