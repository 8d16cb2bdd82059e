"""Several copies in one cell: distances counted out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from crysformer.data import DIPEPTIDE, FIFTEEN
from crysformer.data.molecule import Molecule
from crysformer.data.synthetic.p1_crystal import P1Crystal, packed, single
from crysformer.data.synthetic.random_packing import stacked_edges


def nearest_contact(crystal: P1Crystal) -> float:
    """Smallest distance between atoms of different molecules, over all cells within two."""
    lengths = np.array(crystal.cell.parameters[:3])
    shifts = [np.array(n) for n in itertools.product(range(-2, 3), repeat=3)]
    smallest = np.inf
    for i, one in enumerate(crystal.xyz):
        others = [
            other + lengths * n
            for n in shifts
            for j, other in enumerate(crystal.xyz)
            if i != j or n.any()
        ]
        smallest = min(smallest, cKDTree(np.concatenate(others)).query(one)[0].min())
    return float(smallest)


def pairwise(molecule: np.ndarray) -> np.ndarray:
    return np.linalg.norm(molecule[:, None] - molecule[None], axis=-1)


@pytest.mark.parametrize(("n_residues", "copies"), [(2, 2), (2, 4), (5, 2)])
def test_fitted_cells_hold_copies_without_clashes(
    fifteen: Molecule, n_residues: int, copies: int
) -> None:
    molecule = fifteen.first(n_residues)
    crystal = packed(molecule, copies, DIPEPTIDE, np.random.default_rng(1))
    assert crystal.xyz.shape == (copies, len(molecule.xyz), 3)
    assert nearest_contact(crystal) >= DIPEPTIDE.min_contact - 1e-4
    a, b, c = crystal.cell.parameters[:3]
    assert a >= b >= c
    alone = single(molecule, DIPEPTIDE).cell.volume
    assert crystal.cell.volume < copies * alone  # not looser than one in each cell
    for one in crystal.xyz:  # rigid
        np.testing.assert_allclose(pairwise(one), pairwise(molecule.xyz), atol=1e-9)
    for one, other in itertools.combinations(crystal.xyz, 2):  # each turned on its own
        overlap = (one - one.mean(0)).T @ (other - other.mean(0))
        shape = (one - one.mean(0)).T @ (one - one.mean(0))
        assert np.linalg.norm(overlap - shape) > 0.1 * np.linalg.norm(shape)
        assert np.linalg.det(overlap) > 0  # turned, never mirrored
    np.testing.assert_allclose(crystal.xyz.mean((0, 1)), np.array([a, b, c]) / 2, atol=1e-9)


def test_fixed_cells_hold_four(fifteen: Molecule) -> None:
    crystal = packed(fifteen, 4, FIFTEEN, np.random.default_rng(0))
    assert nearest_contact(crystal) >= FIFTEEN.min_contact - 1e-4
    assert np.array(crystal.cell.parameters[:3]) == pytest.approx((41, 30, 24), abs=0.6)


def test_packing_depends_on_the_generator_alone(fifteen: Molecule) -> None:
    dipeptide = fifteen.first(2)
    first, again, other = (
        packed(dipeptide, 2, DIPEPTIDE, np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    assert np.array_equal(first.xyz, again.xyz)
    assert first.cell.parameters == again.cell.parameters
    assert first.cell.parameters != other.cell.parameters or not np.allclose(first.xyz, other.xyz)


def test_edges_are_stacked_to_compact_boxes() -> None:
    edges = np.array([8.0, 6.0, 5.0])
    assert stacked_edges(edges, 1).tolist() == [8, 6, 5]
    assert stacked_edges(edges, 2).tolist() == [10, 8, 6]
    assert stacked_edges(edges, 4).tolist() == [12, 10, 8]
