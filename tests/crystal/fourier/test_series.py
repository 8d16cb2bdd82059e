from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.crystal.fourier.series import real_fourier_series


@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.integers(1, 20),
    st.integers(0, 2**31),
    st.integers(1, 9),
)
def test_series_equals_the_sum_at_every_grid_point(
    shape: tuple[int, int, int], n: int, seed: int, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(-limit, limit + 1, (n, 3))
    c = rng.normal(size=n) + 1j * rng.normal(size=n)
    x = np.stack(np.meshgrid(*[np.arange(m) / m for m in shape], indexing="ij"), axis=-1)
    expected = (np.exp(2j * np.pi * x @ index.T) @ c).real
    assert real_fourier_series(index, c, shape) == pytest.approx(expected, abs=1e-10)
