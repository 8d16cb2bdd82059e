"""Hand, and in P1 the origin, of a solution from its atoms with elements.

They tell the hand better than equal atoms do: bond lengths are more exact, and elements known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from crysformer.crystal.operators import operators
from crysformer.crystal.symmetry import mirror_shift
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.origin.crystal_setting import (
    UNDETERMINED,
    CrystalSetting,
    molecule_of_atoms,
    with_structure_factors,
)
from crysformer.phasing.origin.hand import log_odds_of_structure
from crysformer.phasing.problem import PhasingProblem


def with_hand_of_structure(
    problem: PhasingProblem, placed: CrystalSetting, structure: AtomicStructure
) -> tuple[CrystalSetting, AtomicStructure]:
    """Turn a solution and its atoms into the likelier hand, and centre a molecule in P1.

    Of an enantiomorphic pair of space groups only one hand is consistent with the given group:
    there the probability alone is set.

    Parameters
    ----------
    problem
        The crystal.
    placed
        The solution in the crystal's setting, of either hand.
    structure
        Atoms in the same setting.
    """
    data = problem.data
    group = data.space_group
    if group.is_centrosymmetric():
        return placed, structure
    one_hand = all(round(np.linalg.det(rotation)) > 0 for rotation, _ in operators(group))
    odds = 0.0
    if one_hand:  # mirror images in one crystal cancel
        odds = log_odds_of_structure(problem, structure)
    notes = placed.notes if odds else (*placed.notes, UNDETERMINED)
    fixed = len(placed.enantiomorph) > 1
    placed = replace(
        placed, hand_probability=float(expit(odds if fixed else abs(odds))), notes=notes
    )
    frac, F, shift = structure.frac, structure.F, np.zeros(3)
    if odds < 0 and not fixed:
        shift = mirror_shift(group)
        frac, F = shift - frac, F.conj()
    if not problem.symmetric:
        molecule = molecule_of_atoms(problem, frac, structure.number.astype(np.float64))
        shift = 0.5 - molecule.centre
        frac, placed = frac + shift, replace(placed, notes=(*placed.notes, *molecule.notes))
    F = F * np.exp(2j * np.pi * (data.hkl @ shift))
    return with_structure_factors(problem, placed, F), replace(structure, frac=frac, F=F)
