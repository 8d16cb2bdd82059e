"""Two strands of a fragment that lie and bend differently from those in the crystal."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.rotations import rotation_of
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.flexible_fragments import (
    FlexibleSettings,
    refine_flexibly,
    tied_pairs,
)
from crysformer.phasing.refinement.likelihood_target import LikelihoodTarget

STRAND = ideal_fragment("strand", 4)
NUMBER = np.tile(STRAND.number, 2)
B_ISO = 6.0


def pair(angle: float, apart: float) -> torch.Tensor:
    """Two strands beside each other, shape (n, 3), the second turned about their common normal."""
    one = torch.as_tensor(STRAND.xyz, dtype=torch.float32)
    other = one @ rotation_of(torch.tensor([[0.0, 0.0, math.pi + angle]]))[0].T
    return torch.cat((one, other + torch.tensor([0.0, 0.0, apart]))) + 3.0


@pytest.fixture(scope="module")
def target() -> LikelihoodTarget:
    """A P21 crystal of two strands and as many atoms at random places."""
    cell, group = gemmi.UnitCell(16, 15, 18, 90, 100, 90), gemmi.SpaceGroup("P 1 21 1")
    hkl = gemmi.make_miller_array(cell, group, 1.25).astype(np.int32)
    blank = CrystalData(cell, group, hkl, np.ones(len(hkl)))
    xyz = pair(0.0, 5.0)
    others = 15 * torch.rand(len(xyz), 3, generator=torch.Generator().manual_seed(0))
    number = np.concatenate((NUMBER, np.full(len(others), 7)))
    everything = AmplitudeTarget(blank, number, B_ISO, by_element=True)
    F = everything.structure_factors(torch.cat((xyz, others))[None])[0]
    data = replace(blank, f=np.abs(F))
    return LikelihoodTarget(data, NUMBER, B_ISO, 0.5, 0.7)


def error(xyz: torch.Tensor) -> float:
    """Rms distance from the strands in the crystal, whose origin is free along b."""
    off = xyz - pair(0.0, 5.0)
    off[:, 1] -= off[:, 1].mean()
    return float((off**2).sum(1).mean().sqrt())


def test_strands_half_an_angstrom_off_return_and_stand_out(target: LikelihoodTarget) -> None:
    off = pair(0.12, 5.3) + torch.tensor([0.2, 0.0, -0.35])
    assert 0.4 < error(off) < 0.8
    elsewhere = pair(0.12, 5.3) + torch.tensor([6.0, 0.0, 4.0])
    refined, gain = refine_flexibly(target, torch.stack((off, elsewhere)))
    assert error(refined[0]) < 0.2
    assert error(refined[1]) > 2.0
    assert float(gain[0]) > 1.5 * float(gain[1])
    # bond lengths stay
    first, second = tied_pairs(off[None], 1.9)
    before, after = ((x[first] - x[second]).norm(dim=1) for x in (off, refined[0]))
    torch.testing.assert_close(after, before, atol=0.12, rtol=0)


def test_without_steps_or_time_nothing_moves(target: LikelihoodTarget) -> None:
    start = pair(0.1, 5.3)[None]
    still, _ = refine_flexibly(target, start, settings=FlexibleSettings(steps=0))
    late, _ = refine_flexibly(target, start, time.monotonic() - 1)
    torch.testing.assert_close(still, start)
    torch.testing.assert_close(late, start)


def test_atoms_of_different_chains_are_not_tied() -> None:
    xyz, n, reach = pair(0.0, 5.0), len(STRAND.xyz), 5.0
    first, second = tied_pairs(xyz[None], reach)
    assert ((first < n) == (second < n)).all()
    distance = torch.cdist(xyz, xyz)
    assert float(distance[:n, n:].min()) < reach
    assert int((first < n).sum()) == int(((distance[:n, :n] < reach).sum() - n) / 2)


def test_fragments_of_different_shape_do_not_disturb_each_other(target: LikelihoodTarget) -> None:
    settings = FlexibleSettings(steps=5, reach=3.2)
    both = torch.stack((pair(0.1, 5.3), 0.95 * pair(0.0, 5.8)))
    together, gain = refine_flexibly(target, both, settings=settings)
    for i in range(2):
        alone, own = refine_flexibly(target, both[i : i + 1], settings=settings)
        torch.testing.assert_close(together[i], alone[0], atol=1e-3, rtol=0)
        assert float(gain[i]) == pytest.approx(float(own[0]), abs=0.05)
