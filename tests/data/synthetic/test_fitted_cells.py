"""Cells by the recipe, against a literal loop over steps and the authors' own fragments."""

from __future__ import annotations

import itertools
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crysformer.data import DIPEPTIDE, FIFTEEN, FragmentStore
from crysformer.data.examples.fragment_tensors import FragmentTensors
from crysformer.data.synthetic.fitted_cells import build_cells, image_contacts, order_extents
from crysformer.peptide.rotations import random_quaternions, rotation_matrices
from crysformer.testing import fifteen_residue_models


def grown_edges(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The recipe as it is written: add a step, look at all contacts, until they are far enough."""
    extent = np.ptp(xyz, axis=0)
    xyz = xyz[:, np.argsort(-extent, kind="stable")]
    edges = np.maximum(np.sort(extent)[::-1], 2.0)
    images = [np.array(n) for n in itertools.product(range(-2, 3), repeat=3) if any(n)]
    difference = xyz[:, None] - xyz[None]
    while min(((difference + n * edges) ** 2).sum(axis=-1).min() for n in images) < 2.75**2:
        edges = edges + 0.25
    return edges


def rotated(store: FragmentStore, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    fragments = FragmentTensors(store.table("train"), "cpu", torch.float64)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(fragments), (n,), generator=generator)
    xyz, number = fragments.gather(rows)
    return xyz @ rotation_matrices(random_quaternions(n, generator)).mT, number


def test_fitted_cells_equal_the_literal_loop(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 60, seed=1)
    lengths = build_cells(xyz, number, DIPEPTIDE).lengths.numpy()
    expected = [grown_edges(x[z > 0].numpy()) for x, z in zip(xyz, number, strict=True)]
    np.testing.assert_allclose(lengths, expected, atol=1e-9)


def test_single_precision_takes_the_same_steps(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 1000, seed=2)
    double = build_cells(xyz, number, DIPEPTIDE).lengths
    single = build_cells(xyz.float(), number, DIPEPTIDE).lengths
    assert (single - double).abs().max() < 1e-4


points = st.lists(st.tuples(*[st.floats(-6, 6, width=16)] * 3), min_size=1, max_size=7)


@settings(max_examples=30, deadline=None)
@given(points)
def test_any_points_get_the_cell_of_the_literal_loop(atoms: list[tuple[float, ...]]) -> None:
    xyz = torch.tensor(atoms, dtype=torch.float64)[None]
    number = torch.full(xyz.shape[:2], 6)
    lengths = build_cells(xyz, number, DIPEPTIDE).lengths[0].numpy()
    np.testing.assert_allclose(lengths, grown_edges(xyz[0].numpy()), atol=1e-9)


def test_axes_are_ordered_by_a_proper_rotation(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 200, seed=3)
    xyz = torch.where((number > 0)[..., None], xyz, xyz[:, :1])
    ordered = order_extents(xyz)
    extent = ordered.amax(dim=1) - ordered.amin(dim=1)
    assert (extent.diff(dim=1) <= 0).all()
    # Signed volumes of atom quadruples change sign under any mirror and under nothing else.
    before = torch.linalg.det(xyz[:, 1:4] - xyz[:, :1])
    after = torch.linalg.det(ordered[:, 1:4] - ordered[:, :1])
    torch.testing.assert_close(after, before)
    # not by matrix products, which lose half the digits of short distances
    exact = "donot_use_mm_for_euclid_dist"
    torch.testing.assert_close(
        torch.cdist(ordered, ordered, compute_mode=exact), torch.cdist(xyz, xyz, compute_mode=exact)
    )


def test_centre_of_mass_is_at_the_cell_centre(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 50, seed=4)
    cells = build_cells(xyz, number, DIPEPTIDE)
    for x, z, edges in zip(cells.xyz, number, cells.lengths, strict=True):
        mass = np.array([gemmi.Element(int(n)).weight for n in z])
        centre = (mass[:, None] * x.numpy()).sum(axis=0) / mass.sum()
        np.testing.assert_allclose(centre, edges.numpy() / 2, atol=1e-6)


def test_contacts_equal_those_to_a_block_of_neighbours(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 40, seed=5)
    cells = build_cells(xyz, number, DIPEPTIDE)
    found = image_contacts(cells.xyz, number, cells.lengths, reach=4.0)
    shifts = np.array([n for n in itertools.product(range(-2, 3), repeat=3) if any(n)])
    for x, z, edges, contact in zip(cells.xyz, number, cells.lengths, found, strict=True):
        atoms = x[z > 0].numpy()
        block = (atoms[None] + (shifts * edges.numpy())[:, None]).reshape(-1, 3)
        nearest = cKDTree(block).query(atoms)[0].min()
        assert float(contact) == pytest.approx(min(nearest, 4.0), abs=1e-9)
        assert nearest >= 2.75 - 1e-9


@pytest.mark.parametrize("path", fifteen_residue_models(), ids=lambda path: path.stem)
def test_authors_fragments_stay_where_they_put_them(path: Path) -> None:
    structure = gemmi.read_structure(str(path))
    atoms = [atom for residue in structure[0][0] for atom in residue]
    xyz = torch.tensor([a.pos.tolist() for a in atoms], dtype=torch.float64)[None]
    number = torch.tensor([a.element.atomic_number for a in atoms])[None]
    cells = build_cells(xyz, number, FIFTEEN)
    assert (cells.xyz - xyz).abs().max() < 1e-3
    assert cells.lengths[0].tolist() == list(structure.cell.parameters[:3])
    assert float(image_contacts(cells.xyz, number, cells.lengths, 2.75)) == 2.75


def test_padding_changes_nothing(dipeptides: FragmentStore) -> None:
    xyz, number = rotated(dipeptides, 30, seed=6)
    together = build_cells(xyz, number, DIPEPTIDE)
    for i in range(len(xyz)):
        n = int((number[i] > 0).sum())
        alone = build_cells(xyz[i : i + 1, :n], number[i : i + 1, :n], DIPEPTIDE)
        torch.testing.assert_close(together.lengths[i], alone.lengths[0])
        torch.testing.assert_close(together.xyz[i, :n], alone.xyz[0])
