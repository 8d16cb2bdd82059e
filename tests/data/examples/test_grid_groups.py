"""Grids as numbers: the same as one by one, and sorted with one look at the device."""

from __future__ import annotations

import pytest
import torch

from crysformer.crystal.fourier.grids import Shape, grid_shape
from crysformer.crystal.fourier.orthogonal_cells import index_limits
from crysformer.data.examples.grid_groups import Grids


def edges(n: int = 3000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    lengths = 2 + 28 * torch.rand(n, 3, generator=generator)
    # whole multiples of the step and of the limit are where rounding decides
    lengths[: n // 3] = (lengths[: n // 3] / 0.25).round() * 0.25
    return lengths.sort(dim=1, descending=True).values


@pytest.mark.parametrize(("sample_rate", "multiple_of"), [(3.0, 4), (3.0, 1), (2.0, 2), (2.5, 6)])
def test_numbers_stand_for_the_grids_of_each_cell(sample_rate: float, multiple_of: int) -> None:
    grids = Grids(30.0, 1.5, sample_rate, multiple_of)
    lengths = edges()
    found = [grids.shape(i) for i in grids.numbers(lengths).tolist()]
    assert found == [grid_shape(x, 1.5, sample_rate, multiple_of) for x in lengths.tolist()]


def test_groups_cover_what_is_kept_in_order_of_first_appearance() -> None:
    lengths = edges(400)
    kept = torch.arange(400) % 7 != 0
    own = [grid_shape(x, 1.5, 3.0, 4) for x in lengths.tolist()]
    expected: dict[Shape, list[int]] = {}
    for row, shape in enumerate(own):
        if kept[row]:
            expected.setdefault(shape, []).append(row)
    groups = Grids(30.0, 1.5, 3.0, 4).groups(lengths, kept)
    assert [(g.shape, g.rows.tolist()) for g in groups] == list(expected.items())
    for group in groups:
        assert group.limits == index_limits(lengths[group.rows].amax(0).tolist(), 1.5)
    together = Grids(30.0, 1.5, 3.0, 4).groups(lengths)
    assert sum(len(g.rows) for g in together) == 400


def test_static_grids_take_every_cell_they_are_fine_enough_for() -> None:
    static = ((32, 32, 32), (20, 16, 12))
    lengths = edges(500)
    groups = Grids(30.0, 1.5, 3.0, 4, static).groups(lengths)
    of_row = {row: g.shape for g in groups for row in g.rows.tolist()}
    for row, x in enumerate(lengths.tolist()):
        own = grid_shape(x, 1.5, 3.0, 4)
        fine = [s for s in static[::-1] if all(m <= n for m, n in zip(own, s, strict=True))]
        assert of_row[row] == (fine[0] if fine else own)
    with pytest.raises(ValueError, match="multiples of 4"):
        Grids(30.0, 1.5, 3.0, 4, ((18, 16, 12),))
    with pytest.raises(ValueError, match="expected 20"):
        Grids(20.0, 1.5, 3.0, 4).groups(lengths)
