"""Contents of the cell from sequence and data, and the share of it that atoms fill."""

from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.cell_composition import count_atoms
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.phasing.cell_content import (
    CellContent,
    cell_content,
    filled_fraction,
    positive_fractions,
    supports,
)


def scattered(
    make_crystal: Callable[..., Any], group: str = "P 1 21 1", b_iso: float = 20.0
) -> Any:
    """60 atoms anywhere in an asymmetric unit that holds them at 18 A^3 each."""
    n = len(gemmi.SpaceGroup(group).operations())
    side = (60 * 18.0 * n) ** (1 / 3)
    cell = gemmi.UnitCell(side, side, side, 90, 90, 90)
    frac = np.random.default_rng(3).random((60, 3))
    return make_crystal(cell, group, frac, np.full(60, 6), b_iso=b_iso)


def test_sequence_counts_atoms_of_the_whole_cell(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("LVHSSN",), copies=1)
    # L 8, V 7, H 10, S 6, S 6, N 8, and OXT: 46; two asymmetric units
    assert content.n_atoms == 2 * 46 == 2 * count_atoms(["LVHSSN"])
    assert content.sequences == ("LVHSSN",)
    assert content.copies == 1
    assert content.notes == ()


def test_several_chains_and_copies(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("GG", "A"), copies=3)
    assert content.n_atoms == 2 * 3 * (9 + 6)
    assert content.copies == 3


def test_copies_are_estimated_and_said(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("LVHSSN",))
    assert content.copies == 1
    assert content.n_atoms == 92
    (note,) = content.notes
    assert "1 copy" in note
    assert "`copies`" in note
    assert cell_content(data, ("GGG",)).copies == 4  # 13 atoms a copy, 18 A^3 each


def test_without_a_sequence_only_b_is_known(make_crystal: Callable[..., Any]) -> None:
    content = cell_content(scattered(make_crystal).data)
    assert content.n_atoms is None
    assert content.sequences == ()
    assert content.copies == 1
    assert content.notes == ()


@pytest.mark.parametrize("b_iso", [8.0, 35.0])
def test_b_is_that_of_the_crystal(make_crystal: Callable[..., Any], b_iso: float) -> None:
    data = scattered(make_crystal, "P 1", b_iso).data
    assert cell_content(data).b_iso == pytest.approx(b_iso, abs=4)


def test_b_stays_within_limits(make_crystal: Callable[..., Any]) -> None:
    cold, hot = (scattered(make_crystal, "P 1", b).data for b in (-20.0, 150.0))
    assert cell_content(cold).b_iso == 3.0
    assert cell_content(hot).b_iso == 80.0


@pytest.mark.parametrize(
    ("sequences", "copies", "error", "message"),
    [
        ((), 2, UsageError, "`copies` needs `sequence`"),
        (("GG",), 0, UsageError, "`copies` is 0"),
        (("GG",), -1, UsageError, "`copies` is -1"),
        (("W" * 40,), None, InputError, "atoms, but the asymmetric unit"),
        (("LVHSSN",), 5, InputError, "5 copies"),
    ],
)
def test_what_cannot_be_is_refused(
    make_crystal: Callable[..., Any],
    sequences: tuple[str, ...],
    copies: int | None,
    error: type[CrysformerError],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        cell_content(scattered(make_crystal).data, sequences, copies)
    assert "\n" not in str(caught.value)


def content_of(n_atoms: int | None) -> CellContent:
    return CellContent(n_atoms, 20.0, (), 1, ())


def shares(n_atoms: int | None, volume: float, d_min: float = 1.5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return positive_fractions(content_of(n_atoms), volume, d_min, 500, generator)


def test_shares_of_tight_and_empty_cells() -> None:
    tight, empty = shares(13, 550.0), shares(113, 41 * 30 * 24.0)
    # measured: about a quarter of a tight dipeptide cell, a tenth of a 15-residue cell
    assert float(tight.mean()) == pytest.approx(0.24, abs=0.03)
    assert float(empty.mean()) == pytest.approx(0.09, abs=0.02)
    for found in (tight, empty):
        assert found.shape == (500,)
        assert 0.05 < float(found.min()) < float(found.mean()) - 0.01
        assert float(found.mean()) + 0.01 < float(found.max()) < 0.35


def test_more_atoms_more_density() -> None:
    means = [float(shares(n, 5000.0).mean()) for n in (10, 40, 80, 120)]
    assert means == sorted(means)
    assert means[0] < means[-1]
    # an atom covers more at low resolution
    assert shares(40, 5000.0, d_min=2.5).mean() > shares(40, 5000.0, d_min=1.2).mean()


@pytest.mark.parametrize("n_atoms", [1, 10**6])
def test_shares_stay_shares_at_the_extremes(n_atoms: int) -> None:
    found = shares(n_atoms, 1000.0)
    assert float(found.min()) > 0.04
    assert float(found.max()) < 0.4


def test_unknown_content_spreads_over_the_whole_range() -> None:
    found = shares(None, 1000.0)
    assert float(found.min()) == pytest.approx(0.07, abs=0.005)
    assert float(found.max()) == pytest.approx(0.26, abs=0.01)
    # evenly on a logarithmic scale
    assert float(found.log().mean()) == pytest.approx(np.log(np.sqrt(0.07 * 0.26)), abs=0.07)


@pytest.mark.parametrize("n_atoms", [None, 50])
def test_the_generator_decides(n_atoms: int | None) -> None:
    one, same, other = (shares(n_atoms, 900.0, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_supports_hold_the_molecule_or_else_the_atoms() -> None:
    volume = 41 * 30 * 24.0
    generator = torch.Generator().manual_seed(0)
    share, width = supports(content_of(113), volume, 400, generator)
    room = 1.25 * 113 * 20 / volume
    assert filled_fraction(content_of(113), volume) == pytest.approx(113 * 20 / volume)
    assert float(share.min()) == pytest.approx(0.75 * room, rel=0.02)
    assert float(share.max()) == pytest.approx(1.25 * room, rel=0.02)
    torch.testing.assert_close(width / share, torch.full((400,), 1.5 / room))
    # a full cell: a share of it, smoothed as much less as the support is smaller
    share, width = supports(content_of(13), 260.0, 400, generator)
    assert float(share.mean()) == pytest.approx(0.27, abs=0.01)
    assert float(width.mean()) == pytest.approx(1.5 * 0.27 / 1.25, abs=0.02)


def test_supports_of_unknown_content_are_of_all_sizes() -> None:
    assert filled_fraction(content_of(None), 1000.0) is None
    share, width = supports(content_of(None), 1000.0, 400, torch.Generator().manual_seed(0))
    assert float(share.max() / share.min()) > 3
    assert float(width.max() / width.min()) > 3
    assert float(share.max()) < 0.3
