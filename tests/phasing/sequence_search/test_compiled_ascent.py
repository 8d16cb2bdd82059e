"""Compiled steps of poses against those with PyTorch."""

from collections.abc import Callable
from typing import Any

import gemmi
import pytest
import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.compiled_target import CompiledTarget
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions, score_poses

pytest.importorskip("numba")


@pytest.fixture
def both(packed_crystal: Callable[..., Any]) -> tuple[Kinematics, AmplitudeTarget, CompiledTarget]:
    """Two chains, and both targets of a crystal in P21."""
    cell = gemmi.UnitCell(9.0, 10.0, 14.0, 90.0, 100.0, 90.0)
    data = packed_crystal(cell, "P 1 21 1", "SLG").data
    kinematics = Kinematics(build_peptides(("SPL", "G")))  # before Pro cis is possible
    number = kinematics.peptides.number
    plain, quick = (
        kind(data, number, 15.0, 2.0, overlap=0.1) for kind in (AmplitudeTarget, CompiledTarget)
    )
    return kinematics, plain, quick


def test_a_few_steps_lead_to_the_same_poses(
    both: tuple[Kinematics, AmplitudeTarget, CompiledTarget],
) -> None:
    kinematics, plain, quick = both
    cell = torch.diag(torch.tensor([9.0, 10.0, 14.0]))
    start = random_poses(kinematics.peptides, 12, cell, torch.Generator().manual_seed(4))
    kept = start.clone()
    steps = Steps(3)
    expected, _ = refine_torsions(kinematics, plain, start, steps)
    found, score = refine_torsions(kinematics, quick, start, steps)
    for own, other, before in zip(found.parts, expected.parts, start.parts, strict=True):
        assert float((own - before).abs().max()) > 0.02  # steps were taken
        torch.testing.assert_close(own, other, atol=2e-3, rtol=0)
    assert all(map(torch.equal, start.parts, kept.parts))
    rated = plain.evaluate(kinematics.coordinates(found)[0], gradient=False).score
    torch.testing.assert_close(score, rated, atol=1e-5, rtol=0)
    torch.testing.assert_close(score_poses(kinematics, quick, found), score)


def test_many_steps_find_scores_as_high(
    both: tuple[Kinematics, AmplitudeTarget, CompiledTarget],
) -> None:
    kinematics, plain, quick = both
    cell = torch.diag(torch.tensor([9.0, 10.0, 14.0]))
    start = random_poses(kinematics.peptides, 60, cell, torch.Generator().manual_seed(5))
    before = score_poses(kinematics, plain, start)
    _, expected = refine_torsions(kinematics, plain, start, Steps(40))
    _, found = refine_torsions(kinematics, quick, start, Steps(40))
    assert float(found.mean()) > float(before.mean()) + 0.1
    assert float(found.mean()) == pytest.approx(float(expected.mean()), abs=0.02)


def test_no_step_is_taken_after_the_deadline(
    both: tuple[Kinematics, AmplitudeTarget, CompiledTarget],
) -> None:
    kinematics, _, quick = both
    start = random_poses(kinematics.peptides, 2, torch.eye(3), torch.Generator().manual_seed(6))
    found, score = refine_torsions(kinematics, quick, start, Steps(5), deadline=0.0)
    assert all(map(torch.equal, found.parts, start.parts))
    torch.testing.assert_close(score, score_poses(kinematics, quick, start))
