"""Turning crystals into a network's frame and maps back."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.fourier.grids import (
    density_from_grid,
    grid_shape,
    hkl_to_grid,
    patterson_from_grid,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.data.examples.stream import fixed_batches
from crysformer.data.recipe import FIFTEEN
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.models.orientations import ORIENTATIONS, rotate_map
from crysformer.models.presets import DIPEPTIDE_SMALL, PRESETS
from crysformer.phasing.network.frame import NetworkFrame, order_axes
from crysformer.testing import model_fragments, write_data_set
from crysformer.training.domain import wilson_scale

CELL = (11.3, 8.6, 6.4)


def asymmetric_crystal(
    order: tuple[int, int, int] = (0, 1, 2), d_min: float = 1.5
) -> tuple[CrystalData, np.ndarray]:
    """Amplitudes and complex F of a few carbon-like points, axes permuted (and not mirrored)."""
    xyz = np.random.default_rng(4).uniform(0.3, 0.7, (9, 3)) * CELL
    rotation = np.eye(3)[list(order)]
    rotation[2] *= np.linalg.det(rotation)
    edges = np.abs(rotation) @ CELL
    frac = (xyz @ rotation.T) / edges
    cell = gemmi.UnitCell(*edges, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), d_min)
    d = cell.calculate_d_array(hkl)
    F = np.exp(2j * np.pi * hkl @ frac.T).sum(1) * 6 * np.exp(-(20 + 5) / (4 * d**2))
    data = CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl.astype(np.int32), np.abs(F))
    return data, F


def map_in_frame(frame: NetworkFrame, data: CrystalData, F: np.ndarray) -> torch.Tensor:
    """The true density in the network's frame."""
    hkl = torch.from_numpy(data.hkl @ frame.rotation.T)
    grid = hkl_to_grid(hkl, torch.from_numpy(F), frame.shape)
    return density_from_grid(grid[None], frame.shape, frame.volume)[0]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_axes_gives_the_same_crystal_to_the_network(
    order: tuple[int, int, int],
) -> None:
    reference = NetworkFrame.of(asymmetric_crystal()[0], "GG", DIPEPTIDE_SMALL)
    data, F = asymmetric_crystal(order)
    frame = NetworkFrame.of(data, "GG", DIPEPTIDE_SMALL)
    assert round(np.linalg.det(frame.rotation)) == 1
    np.testing.assert_allclose(frame.lengths, CELL)
    assert frame.shape == reference.shape
    # the same up to a rotation that the cell cannot tell
    patterson, expected = (
        patterson_from_grid(f.amplitudes.to(torch.complex128)[None], f.shape, f.volume)
        for f in (frame, reference)
    )
    assert any(
        torch.allclose(rotate_map(patterson, axes), expected, atol=1e-8) for axes in ORIENTATIONS
    )
    # back: coefficients at the data's own indices, and the map on the data's own axes
    density = map_in_frame(frame, data, F)
    np.testing.assert_allclose(
        frame.coefficients(density, data.hkl), F * frame.scale, atol=1e-6 * np.abs(F).max()
    )
    shape = grid_shape((data.cell.a, data.cell.b, data.cell.c), 1.5, 3.0)
    grid = hkl_to_grid(torch.from_numpy(data.hkl), torch.from_numpy(F), shape)
    truth = density_from_grid(grid[None], shape, data.cell.volume)[0].numpy() * frame.scale
    own = frame.density(density, 3.0)
    assert own.shape == shape
    np.testing.assert_allclose(own, truth, atol=1e-4 * np.abs(truth).max())


def test_order_axes_makes_edges_descend_without_a_mirror() -> None:
    for edges in itertools.permutations((12.0, 9.0, 7.0)):
        rotation = order_axes(edges)
        assert list(np.abs(rotation) @ edges) == [12.0, 9.0, 7.0]
        assert round(np.linalg.det(rotation)) == 1
    np.testing.assert_array_equal(order_axes((9.0, 9.0, 9.0)), np.eye(3))


def test_turns_are_a_group_of_rotations() -> None:
    x = torch.rand(6, 5, 4)
    for axes in ORIENTATIONS:
        torch.testing.assert_close(rotate_map(rotate_map(x, axes), axes), x)
    a, b, c = ORIENTATIONS[1:]
    torch.testing.assert_close(rotate_map(rotate_map(x, a), b), rotate_map(x, c))
    # the voxel at the origin stays, and nothing is mirrored: two axes change sign
    assert rotate_map(x, a)[0, 0, 0] == x[0, 0, 0]
    assert rotate_map(x, a)[2, 1, 1] == x[2, -1, -1]


def test_scale_of_the_amplitudes_is_found_and_gaps_are_filled() -> None:
    data, _ = asymmetric_crystal()
    full = NetworkFrame.of(data, "GG", DIPEPTIDE_SMALL)
    scaled = CrystalData(data.cell, data.space_group, data.hkl, 37.0 * data.f)
    again = NetworkFrame.of(scaled, "GG", DIPEPTIDE_SMALL)
    assert again.scale == pytest.approx(37 * full.scale)
    torch.testing.assert_close(again.amplitudes, full.amplitudes)
    f = data.f.copy()
    f[::3] = np.nan
    gaps = NetworkFrame.of(
        CrystalData(data.cell, data.space_group, data.hkl, f), "GG", DIPEPTIDE_SMALL
    )
    assert full.completeness == 1.0
    assert gaps.completeness == pytest.approx(2 / 3, abs=0.03)
    assert (gaps.amplitudes > 0).sum() == (full.amplitudes > 0).sum()


def test_reflections_beyond_the_resolution_are_left_out() -> None:
    data, _ = asymmetric_crystal(d_min=1.2)
    frame = NetworkFrame.of(data, "GG", DIPEPTIDE_SMALL)
    values = frame.coefficients(torch.rand(frame.shape), data.hkl)
    assert np.array_equal(values == 0, data.d < 1.5)


def test_a_network_of_imperfect_data_sees_its_own_b_and_what_is_missing() -> None:
    data, F = asymmetric_crystal(d_min=1.3)
    config = replace(DIPEPTIDE_SMALL, conditions=True)
    d_star_sq = data.d**-2.0
    frames = []
    for extra in (0.0, 15.0):
        colder = replace(data, f=data.f * np.exp(extra / 4 * d_star_sq))
        frame = NetworkFrame.of(colder, "GG", config)
        frames.append(frame)
        # what goes in comes out, on the crystal's own B
        back = frame.coefficients(map_in_frame(frame, data, F / frame.scale), data.hkl)
        inside = data.d >= 1.5
        np.testing.assert_allclose(
            np.abs(back)[inside],
            np.abs(F)[inside] * np.exp(-frame.b_excess / 4 * d_star_sq[inside]),
            rtol=1e-4,
            atol=1e-4,
        )
    assert frames[0].b_excess - frames[1].b_excess == pytest.approx(15.0, abs=0.2)
    torch.testing.assert_close(frames[0].amplitudes, frames[1].amplitudes, rtol=0.01, atol=0.01)
    gaps = replace(data, f=np.where(np.arange(len(data)) % 3 == 0, np.nan, data.f))
    frame = NetworkFrame.of(gaps, "GG", config)
    inside = frame.amplitudes > 0
    assert 0.6 < float(frame.measured.sum() / inside.sum()) < 0.73
    assert frame.completeness == pytest.approx(float(frame.measured.sum() / inside.sum()))
    coarse = asymmetric_crystal(d_min=2.4)[0]  # too coarse for a Wilson plot
    assert NetworkFrame.of(coarse, "GG", config).b_excess == 0.0


def test_networks_with_constant_scales_get_absolute_amplitudes(tmp_path: Path) -> None:
    """15 residues in a large cell are stronger than atoms at random; training knows by how much."""
    folder = write_data_set(tmp_path, "fifteen", model_fragments(15))
    table = FragmentStore.open(folder).table("test")
    config = PRESETS["fifteen"]
    recipe = replace(FIFTEEN, sample_rate=config.sample_rate)
    batches = list(fixed_batches(table, recipe, 2, multiple_of=config.patch))
    scale = wilson_scale(batches, config.d_min, config.b_iso)
    assert scale == pytest.approx(1.24, abs=0.03)
    for batch in batches:
        for i, row in enumerate(batch.index.tolist()):
            made = synthetic_crystal(table, row, FIFTEEN)
            known, unknown = (
                NetworkFrame.of(replace(made.data, f=5 * made.data.f), made.sequence, config, s)
                for s in (scale, 1.0)
            )
            assert known.shape == tuple(batch.patterson.shape[2:])
            assert known.scale == pytest.approx(5, rel=0.03)
            trained = float(batch.patterson[i].max())
            for frame, factor in ((known, 1.0), (unknown, 0.65)):
                F = frame.amplitudes.to(torch.complex128)[None]
                found = float(patterson_from_grid(F, frame.shape, frame.volume).max())
                assert found / trained == pytest.approx(factor, abs=0.04)
