"""Atoms of a claimed solution, and phases from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crysformer.crystal.cell_composition import USUAL_VOLUME_PER_ATOM
from crysformer.crystal.molecular_formula import formula_text
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.atoms.element_refinement import ElementSettings, atoms_with_elements
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.merit.confidence import corrected_r
from crysformer.phasing.merit.figures import AtomFigures, SequenceFigures
from crysformer.phasing.origin.crystal_setting import CrystalSetting, with_structure_factors
from crysformer.phasing.problem import PhasingProblem
from crysformer.settings import setting

_SPARE = 1.1  # atoms sought to those expected: solvent
_PARAMETERS_PER_ATOM = 4  # position and B


@dataclass(frozen=True)
class FinalStructureSettings(ElementSettings):
    """Atoms and elements of a claimed solution, at atomic resolution."""

    max_r: float = setting(
        0.25, "R factor, corrected for the parameters, above which atoms are rejected.",
        min=0.0, max=1.0,
    )  # fmt: skip
    least_agreement: float = setting(
        0.5, "Weighted mean cosine between their phases and those of the solution.",
        min=-1.0, max=1.0,
    )  # fmt: skip
    worse: float = setting(
        1.05,
        "R factor to that of the solution's own model, likewise, up to which atoms are accepted: "
        "with elements they have better phases for the same R.",
        min=0.0,
        max=2.0,
    )


def has_final_structure(problem: PhasingProblem, settings: FinalStructureSettings) -> bool:
    """Check if the resolution is high and the structure small enough for atoms with elements."""
    data = problem.data
    pairs = _atoms_sought(problem) * int(data.measured.sum()) * problem.n_operators
    return data.d_min <= settings.d_min and pairs <= settings.max_pairs


def _atoms_sought(problem: PhasingProblem) -> int:
    n_cell = problem.content.n_atoms or problem.data.cell.volume / USUAL_VOLUME_PER_ATOM
    return math.ceil(_SPARE * n_cell / problem.n_operators)


def with_final_structure(
    problem: PhasingProblem,
    candidate: Candidate,
    placed: CrystalSetting,
    deadline: float,
    settings: FinalStructureSettings,
) -> tuple[CrystalSetting, AtomicStructure | None]:
    """Find the atoms of a claimed solution; take their phases if they fit better than its model.

    The confidence was fitted to candidates without them, and stays that of the candidate: more
    parameters lower R whatever the phases.

    Parameters
    ----------
    problem
        The crystal.
    candidate
        The solution.
    placed
        Its phases in the crystal's setting.
    deadline
        `time.monotonic` after which refinement is cut short.
    settings
        Resolution and size up to which it is done.

    Returns
    -------
    (placed, structure)
        As given, and None, where the resolution is too low, the structure too large, or the atoms
        do not fit better.
    """
    data, content, n_operators = problem.data, problem.content, problem.n_operators
    if not has_final_structure(problem, settings):
        return placed, None
    n_atoms, n_measured = _atoms_sought(problem), int(data.measured.sum())
    phase = np.exp(1j * np.deg2rad(np.nan_to_num(placed.phi)))
    start = (np.where(data.measured, data.f, 0.0) * placed.fom).astype(np.complex128) * phase
    composition = {
        element: math.ceil(count / n_operators) for element, count in content.composition.items()
    }
    structure = atoms_with_elements(
        data, start, n_atoms, content.b_iso, composition or None, deadline, settings=settings
    )
    if structure is None:
        return placed, None
    freedom = 1 - _PARAMETERS_PER_ATOM * len(structure) / n_measured
    corrected = structure.r / math.sqrt(freedom) if freedom > 0 else math.inf
    of_model = isinstance(candidate.figures, (AtomFigures, SequenceFigures))
    least = corrected_r(candidate.figures) if of_model else math.inf  # of density, R is no measure
    if corrected > min(settings.max_r, settings.worse * least):
        return placed, None
    # The confidence is that of the phases given: atoms that disagree with them are of others.
    turn = np.exp(1j * np.deg2rad(np.nan_to_num(placed.phi))) * np.conj(structure.F)
    weight = np.abs(start) * np.abs(structure.F)
    cosine = float((np.abs(start) * turn.real).sum() / max(weight.sum(), 1e-30))
    if cosine < settings.least_agreement:
        return placed, None
    better = with_structure_factors(problem, placed, structure.F)
    note = (
        f"phases of {len(structure)} atoms in the asymmetric unit with their elements "
        f"({formula_text(structure.formula)}), R {structure.r:.3f}"
    )
    return replace(better, notes=(*placed.notes, note)), structure
