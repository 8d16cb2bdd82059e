"""Examples on the fly: right maps, fair draws, exact resumption."""

from __future__ import annotations

import itertools
from collections import Counter

import gemmi
import numpy as np
import pytest
import torch

from crysformer.data import DIPEPTIDE, FIFTEEN, FragmentStore
from crysformer.data.examples import stream as stream_module
from crysformer.data.examples.stream import Batch, ExampleStream, fixed_batches
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.peptide.rotations import random_quaternions, rotation_matrices


def same(one: Batch, other: Batch) -> bool:
    tensors = [name for name, value in vars(one).items() if value is not None]
    return all(torch.equal(getattr(one, k), getattr(other, k)) for k in tensors)


def test_maps_equal_gemmis(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("test")
    batch = next(fixed_batches(table, DIPEPTIDE, batch_size=4))
    for i, row in enumerate(batch.index.tolist()):
        crystal = synthetic_crystal(table, row, DIPEPTIDE)
        cell = gemmi.UnitCell(*batch.lengths[i].tolist(), 90.0, 90.0, 90.0)
        calculator = gemmi.StructureFactorCalculatorX(cell)
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5)
        F = np.array([calculator.calculate_sf_from_model(crystal.structure[0], h) for h in hkl])
        shape = batch.density.shape[2:]
        asu = gemmi.ComplexAsuData(cell, gemmi.SpaceGroup("P 1"), hkl, F.astype(np.complex64))
        density = asu.transform_f_phi_to_map(exact_size=list(shape)).array
        ours = batch.density[i, 0].numpy()
        assert np.abs(ours - density).max() < 1e-3 * density.std()
        squared = gemmi.ComplexAsuData(
            cell, gemmi.SpaceGroup("P 1"), hkl, (np.abs(F) ** 2).astype(np.complex64)
        )
        patterson = squared.transform_f_phi_to_map(exact_size=list(shape)).array
        ours = batch.patterson[i, 0].numpy()
        assert np.abs(ours - patterson).max() < 1e-3 * patterson.std()


def test_patterson_is_the_autocorrelation(fifteens: FragmentStore) -> None:
    batch = next(fixed_batches(fifteens.table("test"), FIFTEEN, batch_size=2))
    F = torch.fft.rfftn(batch.density.double(), dim=(2, 3, 4))
    voxel = batch.lengths.prod(dim=1).double() / batch.density[0].numel()
    correlation = torch.fft.irfftn(F.abs() ** 2, s=batch.density.shape[2:], dim=(2, 3, 4))
    expected = correlation * voxel[:, None, None, None, None]
    torch.testing.assert_close(batch.patterson.double(), expected, rtol=0, atol=1e-3)
    assert batch.density.shape[2:] == (84, 60, 48)


def test_grids_suit_cell_and_patch(dipeptides: FragmentStore) -> None:
    stream = ExampleStream(dipeptides.table("train"), DIPEPTIDE, batch_size=16, seed=1)
    for batch in itertools.islice(stream, 40):
        shape = torch.tensor(batch.density.shape[2:])
        assert (shape % 4 == 0).all()
        assert (batch.lengths / shape <= 0.5 + 1e-6).all()
        assert (batch.lengths.diff(dim=1) <= 1e-5).all()
        assert batch.density.shape[0] == len(batch) == 16
        assert batch.density.mean(dim=(1, 2, 3, 4)).abs().max() < 1e-5


def test_stream_resumes_exactly(dipeptides: FragmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_POOL", 200)
    table = dipeptides.table("train")

    def stream() -> ExampleStream:
        return ExampleStream(table, DIPEPTIDE, batch_size=8, seed=5)

    straight = list(itertools.islice(stream(), 40))
    for stop in (1, 17, 23):
        first = stream()
        list(itertools.islice(first, stop))
        state = first.state_dict()
        second = stream()
        second.load_state_dict(state)
        for expected, found in zip(straight[stop : stop + 10], second, strict=False):
            assert same(expected, found)


def test_few_grids_hold_the_same_crystals(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("train")
    grids = ((28, 24, 20), (20, 16, 16))
    stream = ExampleStream(table, DIPEPTIDE, 8, rotate=False, static_grids=grids)
    own = {}
    for batch in fixed_batches(table, DIPEPTIDE, 8):
        F = torch.fft.rfftn(batch.density, norm="forward", dim=(2, 3, 4))
        own.update(zip(batch.index.tolist(), F[:, 0, :4, :4, :4], strict=True))
    found = set()
    for batch in itertools.islice(stream, 30):
        found.add(tuple(batch.density.shape[2:]))
        F = torch.fft.rfftn(batch.density, norm="forward", dim=(2, 3, 4))[:, 0, :4, :4, :4]
        expected = torch.stack([own[row] for row in batch.index.tolist()])
        torch.testing.assert_close(F, expected, rtol=0, atol=1e-5)
    assert found == set(grids)


def test_seed_decides(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("train")
    one, again, other = (next(iter(ExampleStream(table, DIPEPTIDE, 8, seed=s))) for s in (0, 0, 1))
    assert same(one, again)
    assert not torch.equal(one.index, other.index)


def test_rare_grids_come_as_often_as_drawn(
    dipeptides: FragmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_POOL", 256)
    stream = ExampleStream(dipeptides.table("train"), DIPEPTIDE, batch_size=16, seed=2)
    emitted: Counter[tuple[int, ...]] = Counter()
    for batch in stream:
        emitted[tuple(batch.density.shape[2:])] += len(batch)
        state = stream.state_dict()
        if state["pool"] == 12:
            break
    waiting = len(state["waiting_index"])
    drawn = 12 * 256
    # Everything drawn was handed out or still waits; what waits is less than a batch of each grid.
    assert sum(emitted.values()) - 16 * state["emitted"] + waiting == drawn
    assert waiting < 16 * 80
    assert len(emitted) > 5


def test_fixed_batches_cover_the_table_once(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("validation")
    batches = list(fixed_batches(table, DIPEPTIDE, batch_size=8))
    rows = torch.cat([b.index for b in batches])
    assert sorted(rows.tolist()) == list(range(len(table)))
    lengths = torch.cat([b.lengths for b in batches])
    np.testing.assert_allclose(lengths.numpy(), table.cell[rows.numpy()], atol=1e-4)
    again = list(fixed_batches(table, DIPEPTIDE, batch_size=8))
    assert all(same(a, b) for a, b in zip(batches, again, strict=True))
    limited = torch.cat([b.index for b in fixed_batches(table, DIPEPTIDE, 8, limit=10)])
    assert sorted(limited.tolist()) == list(range(10))


def test_rotations_are_uniform_and_proper() -> None:
    rotation = rotation_matrices(random_quaternions(20_000, torch.Generator().manual_seed(0)))
    identity = torch.eye(3, dtype=torch.float64).expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.mT, identity)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(20_000).double())
    # Haar measure: mean 0, mean square 1/3, and density (1 - cos t) / pi of the angle.
    assert rotation.mean(dim=0).abs().max() < 0.02
    assert (rotation.square().mean(dim=0) - 1 / 3).abs().max() < 0.01
    angle = torch.arccos(((rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1))
    assert float(angle.mean()) == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.02)


def test_turned_fifteens_keep_their_distance(fifteens: FragmentStore) -> None:
    stream = ExampleStream(fifteens.table("train"), FIFTEEN, batch_size=4, seed=0)
    for batch in itertools.islice(stream, 2):
        assert (batch.lengths == torch.tensor(FIFTEEN.fixed_cell)).all()
        rms = batch.density.square().mean(dim=(1, 2, 3, 4)).sqrt()
        assert ((rms > 0.1) & (rms < 0.25)).all()


def test_residues_follow_the_sequence(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("train")
    batch = next(iter(ExampleStream(table, DIPEPTIDE, 8)))
    letters = "ARNDCQEGHILKMFPSTWYV"
    for row, codes in zip(batch.index.tolist(), batch.residues.tolist(), strict=True):
        assert "".join(letters[c] for c in codes) == table.sequence[row]


@pytest.mark.gpu
def test_device_makes_the_same_examples(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("train")
    for on_cpu, on_gpu in zip(
        fixed_batches(table, DIPEPTIDE, 8), fixed_batches(table, DIPEPTIDE, 8, "cuda"), strict=True
    ):
        found = on_gpu.to("cpu")
        torch.testing.assert_close(found.density, on_cpu.density, rtol=0, atol=1e-3)
        assert torch.equal(found.index, on_cpu.index)


@pytest.mark.gpu
def test_stream_on_a_device_draws_there_and_resumes_exactly(dipeptides: FragmentStore) -> None:
    def stream() -> ExampleStream:
        return ExampleStream(dipeptides.table("train"), DIPEPTIDE, 8, seed=3, device="cuda")

    first = stream()
    list(itertools.islice(first, 5))
    second = stream()
    second.load_state_dict(first.state_dict())
    third = next(iter(second))
    assert third.density.device.type == "cuda"
    assert same(list(itertools.islice(stream(), 6))[5], third)
