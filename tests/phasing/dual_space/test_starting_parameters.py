"""Starting parameters that follow from what is in the cell."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.dual_space.starting_parameters import (
    filled_fraction,
    positive_fractions,
    supports,
)


def problem_of(n_atoms: int | None, volume: float, d_min: float = 1.5) -> Any:
    """All that starting parameters look at of a crystal."""
    cell = SimpleNamespace(volume=volume)
    return SimpleNamespace(
        content=CellContent(n_atoms, 20.0, (), 1, ()), data=SimpleNamespace(cell=cell, d_min=d_min)
    )


def fractions(
    n_atoms: int | None, volume: float, d_min: float = 1.5, seed: int = 0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return positive_fractions(problem_of(n_atoms, volume, d_min), 500, generator)


def test_fractions_of_tight_and_empty_cells() -> None:
    tight, empty = fractions(13, 550.0), fractions(113, 41 * 30 * 24.0)
    # measured: about a quarter of a tight dipeptide cell, a tenth of a 15-residue cell
    assert float(tight.mean()) == pytest.approx(0.24, abs=0.03)
    assert float(empty.mean()) == pytest.approx(0.09, abs=0.02)
    for found in (tight, empty):
        assert found.shape == (500,)
        assert 0.05 < float(found.min()) < float(found.mean()) - 0.01
        assert float(found.mean()) + 0.01 < float(found.max()) < 0.35


def test_more_atoms_more_density() -> None:
    means = [float(fractions(n, 5000.0).mean()) for n in (10, 40, 80, 120)]
    assert means == sorted(means)
    assert means[0] < means[-1]
    # an atom covers more at low resolution
    assert fractions(40, 5000.0, d_min=2.5).mean() > fractions(40, 5000.0, d_min=1.2).mean()


@pytest.mark.parametrize("n_atoms", [1, 10**6])
def test_fractions_stay_fractions_at_the_extremes(n_atoms: int) -> None:
    found = fractions(n_atoms, 1000.0)
    assert float(found.min()) > 0.04
    assert float(found.max()) < 0.4


def test_unknown_content_spreads_over_the_whole_range() -> None:
    found = fractions(None, 1000.0)
    assert float(found.min()) == pytest.approx(0.07, abs=0.005)
    assert float(found.max()) == pytest.approx(0.26, abs=0.01)
    # evenly on a logarithmic scale
    assert float(found.log().mean()) == pytest.approx(np.log(np.sqrt(0.07 * 0.26)), abs=0.07)


@pytest.mark.parametrize("n_atoms", [None, 50])
def test_the_generator_decides(n_atoms: int | None) -> None:
    one, same, other = (fractions(n_atoms, 900.0, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_supports_hold_the_molecule_or_else_the_atoms() -> None:
    volume = 41 * 30 * 24.0
    generator = torch.Generator().manual_seed(0)
    fraction, width = supports(problem_of(113, volume), 400, generator)
    room = 1.25 * 113 * 20 / volume
    assert filled_fraction(problem_of(113, volume)) == pytest.approx(113 * 20 / volume)
    assert float(fraction.min()) == pytest.approx(0.75 * room, rel=0.02)
    assert float(fraction.max()) == pytest.approx(1.25 * room, rel=0.02)
    torch.testing.assert_close(width / fraction, torch.full((400,), 1.5 / room))
    # a full cell: a fraction of it, smoothed as much less as the support is smaller
    fraction, width = supports(problem_of(13, 260.0), 400, generator)
    assert float(fraction.mean()) == pytest.approx(0.27, abs=0.01)
    assert float(width.mean()) == pytest.approx(1.5 * 0.27 / 1.25, abs=0.02)


def test_supports_of_unknown_content_are_of_all_sizes() -> None:
    assert filled_fraction(problem_of(None, 1000.0)) is None
    fraction, width = supports(problem_of(None, 1000.0), 400, torch.Generator().manual_seed(0))
    assert float(fraction.max() / fraction.min()) > 3
    assert float(width.max() / width.min()) > 3
    assert float(fraction.max()) < 0.3
