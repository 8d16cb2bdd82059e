"""Scan of translations against the target at each."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.chain_placement import scan_translations

B_ISO = 12.0
CELLS = {
    "P 1": (9, 11, 13, 80, 95, 103),
    "P 1 21 1": (9, 11, 13, 90, 102, 90),
    "P 21 21 21": (9, 11, 13, 90, 90, 90),
    "P 43": (14, 14, 17, 90, 90, 90),
    "C 1 2 1": (9, 11, 13, 90, 102, 90),
    "P 1 21/c 1": (9, 11, 13, 90, 102, 90),
    "R 3:H": (14, 14, 17, 90, 90, 120),
}


@pytest.mark.parametrize("group", CELLS)
def test_scanning_places_is_evaluating_at_each(group: str) -> None:
    cell, space_group = gemmi.UnitCell(*CELLS[group]), gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(cell, space_group, 2.2).astype(np.int32)
    f = np.random.default_rng(1).uniform(1, 9, len(hkl))
    f[::7] = np.nan
    data = CrystalData(cell, space_group, hkl, f, 0.1 * f, source="test")
    peptides = build_peptides(("GA", "S"))
    target = AmplitudeTarget(data, peptides.number, B_ISO)
    noise = torch.randn(2, len(peptides.names), 3, generator=torch.Generator().manual_seed(3))
    xyz = torch.as_tensor(peptides.xyz, dtype=torch.float32) + 0.4 * noise
    second = torch.as_tensor(peptides.chain == 1)
    moving = torch.stack((second, ~second))
    shifts = 5 * torch.randn(6, 3, generator=torch.Generator().manual_seed(8))
    found = scan_translations(target, xyz, moving, shifts)
    for one, which, scores in zip(xyz, moving, found, strict=True):
        moved = one + shifts[:, None] * which[:, None]
        expected = target.evaluate(moved, gradient=False).score
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
        assert expected.std() > 0.01
