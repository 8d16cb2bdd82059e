"""The centre of one molecule, in cells so tight that molecules touch on all sides."""

import gemmi
import numpy as np
import pytest
import torch

from crysformer import samples
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import d_star_sq_grid, density_from_grid, grid_shape
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factor_grid
from crysformer.crystal.symmetry import P1
from crysformer.phasing.origin.molecule_origin import (
    MoleculeOrigin,
    origin_from_atoms,
    origin_from_density,
)

SAMPLES = ["gf", "wk", "yf", "fifteen"]
D_MIN = 1.5


def read_atoms(name: str) -> tuple[np.ndarray, np.ndarray, gemmi.UnitCell]:
    """Fractional coordinates (n, 3), elements' atomic numbers (n,), cell; centred by the recipe."""
    structure = gemmi.read_structure(str(samples.FOLDER / f"{name}.pdb"))
    atoms = [atom for chain in structure[0] for residue in chain for atom in residue]
    frac = [structure.cell.fractionalize(atom.pos).tolist() for atom in atoms]
    return np.array(frac), np.array([a.element.atomic_number for a in atoms]), structure.cell


def make_map(
    frac: np.ndarray,
    number: np.ndarray,
    cell: gemmi.UnitCell,
    phase_noise: float = 0.0,
    seed: int = 0,
) -> DensityMap:
    """Density at 1.5 A. With noise, phases of weak reflections suffer most, as in a real solution:
    von Mises errors of concentration F / rms F / `phase_noise`."""
    orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float64)
    shape = grid_shape(cell, D_MIN)
    batch = AtomBatch(
        torch.as_tensor(frac)[None],
        torch.as_tensor(number, dtype=torch.int64)[None],
        torch.full((1, len(frac)), 20.0, dtype=torch.float64),
        torch.ones(1, len(frac), dtype=torch.float64),
    )
    F = structure_factor_grid(batch, orth, shape, D_MIN)
    if phase_noise:
        inside = (d_star_sq_grid(orth, shape) <= 1 / D_MIN**2).numpy()
        rms = np.sqrt((np.abs(F.numpy()) ** 2)[inside].mean())
        rng = np.random.default_rng(seed)
        error = rng.vonmises(0, np.abs(F.numpy()) / rms / phase_noise + 1e-6)
        F = F * torch.as_tensor(np.exp(1j * error))
    values = density_from_grid(F, shape, cell.volume)[0].numpy().astype(np.float32)
    return DensityMap(values, cell, P1)


def error(origin: MoleculeOrigin, centre: np.ndarray, cell: gemmi.UnitCell) -> float:
    """Distance in A from the true centre, lattice translations apart."""
    difference = origin.centre - centre
    return float(np.linalg.norm(cell.orth.mat @ (difference - np.round(difference))))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("size_known", [True, False])
def test_the_centre_is_found_in_the_true_density(name: str, size_known: bool) -> None:
    frac, number, cell = read_atoms(name)
    shift = np.random.default_rng(1).random(3)
    density = make_map(frac + shift, number, cell)
    origin = origin_from_density(density, len(number) if size_known else None)
    assert error(origin, shift + 0.5, cell) < 0.15
    assert not origin.ambiguous
    assert origin.reason == ""
    np.testing.assert_allclose((origin.centre + origin.shift) % 1, 0.5)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_centre_survives_phase_errors(name: str) -> None:
    frac, number, cell = read_atoms(name)
    for seed in range(2):
        shift = np.random.default_rng(seed).random(3)
        density = make_map(frac + shift, number, cell, phase_noise=0.1, seed=seed)
        origin = origin_from_density(density, len(number))
        assert error(origin, shift + 0.5, cell) < 0.3


def test_moving_the_map_moves_the_centre() -> None:
    density = make_map(*read_atoms("yf"), phase_noise=0.2)
    origin = origin_from_density(density, 25)
    rolled = DensityMap(np.roll(density.values, (5, -3, 11), (0, 1, 2)), density.cell, P1)
    moved = origin_from_density(rolled, 25).centre - origin.centre
    expected = np.array([5, -3, 11]) / density.shape
    np.testing.assert_allclose((moved - expected + 0.5) % 1, 0.5, atol=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_centre_of_atoms_is_exact(name: str) -> None:
    frac, number, cell = read_atoms(name)
    mass = np.array([gemmi.Element(int(z)).weight for z in number])
    shift = np.random.default_rng(2).random(3)
    origin = origin_from_atoms((frac + shift) % 1, cell, mass)
    assert error(origin, shift + 0.5, cell) < 0.002  # PDB coordinates are rounded
    assert not origin.ambiguous


def test_the_choice_of_cell_vectors_does_not_matter() -> None:
    """The same lattice described by a, a + b, c - b."""
    frac, number, cell = read_atoms("wk")
    change = np.array([[1, -1, -1], [0, 1, 1], [0, 0, 1]])  # old fractional to new
    orth = np.array(cell.orth.mat.tolist())
    vectors = orth @ np.linalg.inv(change)
    lengths = np.linalg.norm(vectors, axis=0)
    a, b, c = (vectors / lengths).T
    angles = np.rad2deg(np.arccos([b @ c, a @ c, a @ b]))
    oblique = gemmi.UnitCell(*lengths, *angles)
    shift = np.array([0.3, 0.8, 0.1])
    moved = (frac + shift) @ change.T
    centre = change @ (shift + 0.5)
    assert error(origin_from_atoms(moved, oblique), centre, oblique) < 0.2  # equal masses
    density = make_map(moved, number, oblique)
    origin = origin_from_density(density, len(number))
    assert error(origin, centre, oblique) < 0.15
    assert not origin.ambiguous


def test_two_molecules_are_said_to_be_ambiguous() -> None:
    frac, number, cell = read_atoms("gf")
    double = gemmi.UnitCell(2 * cell.a, cell.b, cell.c, 90, 90, 90)
    first = frac * [0.5, 1, 1]
    second = first + np.array([0.5, 0.02, -0.02])
    both, numbers = np.concatenate([first, second]), np.tile(number, 2)
    density = make_map(both, numbers, double)
    centres = [np.array([0.25, 0.5, 0.5]), np.array([0.75, 0.52, 0.48])]
    for origin in (
        origin_from_density(density, len(number), copies=2),
        origin_from_density(density),
        origin_from_atoms(both, double, copies=2),
    ):
        assert origin.ambiguous
        assert min(error(origin, centre, double) for centre in centres) < 0.3
    assert "2 equal molecules" in origin_from_density(density, len(number), copies=2).reason
    assert "50%" in origin_from_density(density).reason


def test_an_endless_chain_is_said_to_be_ambiguous() -> None:
    cell = gemmi.UnitCell(9, 9, 9, 90, 90, 90)
    t = np.arange(6) / 6
    frac = np.stack([0.5 + 0.05 * np.cos(np.pi * 6 * t), np.full(6, 0.5), t], axis=1)
    from_map = origin_from_density(make_map(frac, np.full(6, 6), cell), 6)
    from_atoms = origin_from_atoms(frac, cell)
    for origin in (from_map, from_atoms):
        assert origin.ambiguous
        assert "lattice copies" in origin.reason
        # across the chain the centre is as good as any
        np.testing.assert_allclose(origin.centre[:2], 0.5, atol=0.02)


def test_a_flat_map_has_no_centre() -> None:
    density = DensityMap(np.zeros((8, 8, 8), np.float32), gemmi.UnitCell(5, 5, 5, 90, 90, 90), P1)
    origin = origin_from_density(density, 4)
    assert origin.ambiguous
    assert "flat" in origin.reason
