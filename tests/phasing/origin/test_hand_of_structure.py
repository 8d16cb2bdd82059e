"""Hand and origin of a solution from its atoms: both hands of an L peptide come out as L."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.origin.crystal_setting import UNDETERMINED, CrystalSetting, weighted_map
from crysformer.phasing.origin.hand_of_structure import with_hand_of_structure
from crysformer.phasing.problem import PhasingProblem, phasing_problem

CELL = gemmi.UnitCell(14.0, 14.0, 17.0, 90.0, 90.0, 90.0)
SHIFT = np.array([0.11, 0.07, 0.19])


class Placed:
    """A dipeptide in a space group, as it is or as its mirror image in a partner group."""

    def __init__(self, peptide: Any, make_crystal: Callable[..., Any], group: str) -> None:
        xyz = peptide.frac @ np.array(peptide.data.cell.orth.mat.tolist()).T
        frac = xyz @ np.array(CELL.frac.mat.tolist()).T + SHIFT
        crystal = make_crystal(CELL, group, frac, peptide.number, 5.0, 1.2)
        self.problem: PhasingProblem = phasing_problem(crystal.data)
        data, phi = self.problem.data, crystal.phi_true
        self.F = data.f * np.exp(1j * np.deg2rad(phi))
        n = len(frac)
        self.structure = AtomicStructure(
            frac, peptide.number, np.full(n, 5.0), np.ones(n), self.F, 0.05, CELL, data.space_group
        )
        fom = np.ones(len(data))
        self.setting = CrystalSetting(
            phi, fom, weighted_map(data, fom, phi), 0.5, {}, 1.0, "anywhere", ()
        )


def mirrored(case: Placed) -> tuple[CrystalSetting, AtomicStructure]:
    """The other hand, at the origin of the same group."""
    data = case.problem.data
    shift = np.array(data.space_group.change_of_hand_op().tran) / 24
    F = case.F.conj() * np.exp(2j * np.pi * (data.hkl @ shift))
    phi = np.rad2deg(np.angle(F))
    return replace(case.setting, phi=phi), replace(
        case.structure, frac=shift - case.structure.frac, F=F
    )


def turned(case: Placed, placed: CrystalSetting, structure: AtomicStructure) -> None:
    """Check phases, atoms and map against the true ones."""
    data = case.problem.data
    turn = np.exp(1j * np.deg2rad(placed.phi)) * case.F.conj()
    assert turn.real.sum() > 0.9999 * np.abs(turn).sum()
    step = structure.frac - case.structure.frac
    np.testing.assert_allclose(step, step.round(), atol=1e-9)
    own = weighted_map(data, placed.fom, placed.phi)
    np.testing.assert_allclose(placed.density.values, own.values, atol=1e-5)


@pytest.mark.parametrize("group", ["P 21 21 21", "I 41", "P 1 21 1"])
@pytest.mark.parametrize("invert", [False, True])
def test_both_hands_become_l(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any], group: str, invert: bool
) -> None:
    case = Placed(dipeptide(0), make_crystal, group)
    given = mirrored(case) if invert else (case.setting, case.structure)
    placed, structure = with_hand_of_structure(case.problem, *given)
    turned(case, placed, structure)
    assert placed.hand_probability > 0.9
    assert UNDETERMINED not in placed.notes


def test_a_sequence_of_d_residues_becomes_d(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]
) -> None:
    case = Placed(dipeptide(0), make_crystal, "P 21 21 21")
    content = replace(case.problem.content, sequences=("(D-A)(D-A)",))
    problem = replace(case.problem, content=content)
    placed, _ = with_hand_of_structure(problem, case.setting, case.structure)
    turn = np.exp(1j * np.deg2rad(placed.phi)) * case.F
    assert turn.real.sum() > 0.9999 * np.abs(turn).sum()


def test_of_an_enantiomorphic_pair_the_group_decides(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]
) -> None:
    case = Placed(dipeptide(0), make_crystal, "P 41")
    agreement = {"P 41": 1.0, "P 43": 1.0}
    setting = replace(case.setting, enantiomorph=agreement)
    placed, structure = with_hand_of_structure(case.problem, setting, case.structure)
    turned(case, placed, structure)
    assert placed.hand_probability > 0.9
    wrong = replace(case.structure, frac=-case.structure.frac)  # as if it were of the other hand
    placed, structure = with_hand_of_structure(case.problem, setting, wrong)
    assert placed.hand_probability < 0.1
    np.testing.assert_array_equal(structure.frac, wrong.frac)


def test_in_p1_a_molecule_is_put_at_the_centre(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]
) -> None:
    case = Placed(dipeptide(0), make_crystal, "P 1")
    placed, structure = with_hand_of_structure(case.problem, *mirrored(case))
    weight = structure.number / structure.number.sum()
    np.testing.assert_allclose(weight @ structure.frac % 1.0, 0.5, atol=1e-6)
    moved = structure.frac - case.structure.frac
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-9)
    expected = case.F * np.exp(2j * np.pi * (case.problem.data.hkl @ moved[0]))
    turn = np.exp(1j * np.deg2rad(placed.phi)) * expected.conj()
    assert turn.real.sum() > 0.9999 * np.abs(turn).sum()


def test_mirror_planes_and_inversions_leave_no_hand(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]
) -> None:
    case = Placed(dipeptide(0), make_crystal, "P n a 21")
    placed, structure = with_hand_of_structure(case.problem, case.setting, case.structure)
    assert placed.hand_probability == 0.5
    assert UNDETERMINED in placed.notes
    turned(case, placed, structure)
    centric = Placed(dipeptide(0), make_crystal, "P -1")
    placed, structure = with_hand_of_structure(centric.problem, centric.setting, centric.structure)
    assert placed is centric.setting
    assert structure is centric.structure
