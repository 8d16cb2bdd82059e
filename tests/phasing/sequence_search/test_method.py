"""The known-sequence search as a method: crystals with known answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.symmetry import enantiomorph
from crysformer.phasing.solver import solve

VALINE_ALANINE = 0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_noisy_dipeptide_is_solved_with_its_model(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE, amplitude_error=0.1, completeness=0.8)
    found = solve(crystal.data, crystal.sequence, method="sequence", time_limit=150.0, seed=1)
    assert found.solved
    assert found.method == "sequence"
    compared = crystal.compare_phases(found.phi)
    assert compared.cosine2_aligned > SOLVED_COSINE
    assert found.model is not None
    # the truth has its centre of mass at the cell centre, and its hand
    assert not compared.inverted
    assert np.abs(compared.shift * crystal.data.cell.parameters[:3]).max() < 0.5
    structure = found.model.to_structure()
    names = [(r.name, len(r)) for r in structure[0][0]]
    assert gemmi.one_letter_code([name for name, _ in names]) == crystal.sequence
    assert sum(n for _, n in names) == len(found.model.b_iso)


@pytest.mark.slow
def test_both_members_of_an_enantiomorphic_pair_are_searched(
    packed_crystal: Callable[..., Any],
) -> None:
    cell = gemmi.UnitCell(10.5, 10.5, 12.5, 90, 90, 90)
    crystal = packed_crystal(cell, "P 43", "TI")
    other = replace(crystal.data, space_group=gemmi.SpaceGroup("P 41"))
    found = solve(other, "TI", method="sequence", copies=1, time_limit=25.0)
    assert found.space_group.xhm() == "P 41"
    assert found.enantiomorph["P 43"] > found.enantiomorph["P 41"]
    # the phases written are consistent with the group that was given: they are of the mirror image
    assert found.hand_probability < 0.5
    assert found.model is not None
    assert found.model.space_group.xhm() == "P 43"
    mirror = compare_phases(
        other.hkl, other.f, found.phi, -crystal.phi_true, cell, other.space_group
    )
    assert mirror.cosine2_aligned > SOLVED_COSINE
    assert not mirror.inverted
    own = crystal.compare_phases(np.rad2deg(np.angle(found.model.F)))
    assert own.cosine2_aligned > SOLVED_COSINE
    assert not own.inverted


@pytest.mark.parametrize(
    ("group", "partner"),
    [("P 41", "P 43"), ("P 32 2 1", "P 31 2 1"), ("P 1", None), ("P 21 21 21", None)],
)
def test_only_enantiomorphic_groups_have_a_partner(group: str, partner: str | None) -> None:
    found = enantiomorph(gemmi.SpaceGroup(group))
    assert (None if found is None else found.xhm()) == partner
