"""Summary of built models: fractions that meet the paper's criteria, and that are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from crysformer.evaluation.building.result import (
    FIXED,
    MODELS,
    MODIFIED,
    OWN,
    PLAIN,
    BuildingResult,
    ModelFigures,
    PolyAlanine,
)

R_PAPER: Final = 0.38
"""R factor up to which the paper counts a model as built."""
R_SOLVED, BACKBONE, ALL_ATOMS = 0.15, 0.5, 0.3
"""R factor, and RMSD of backbone and of all atoms (A), of a model that is right."""
CC_PAPER: Final = 0.25
"""Correlation of amplitudes from which the paper counts a poly-alanine trace as right."""

#: Fractions in section 4.2 of the paper: of 302 crystals, and of 16,230.
PAPER: Final[dict[str, Any]] = {
    "n": 302,
    "r_below_0.38": {MODIFIED: 0.93, PLAIN: 0.85, FIXED: 0.76},
    "n_poly_alanine": 16230,
    "cc_f_from_0.25": 0.74,
}


def summary(results: Iterable[BuildingResult], methods: Sequence[str]) -> dict[str, Any]:
    """Summarise the maps of each method, and other programs apart.

    Returns
    -------
    dict
        ``methods`` with a table for each method, ``other_programs`` with one for each program and
        method. Fractions are of the crystals that were done; one without a model counts as wrong.
    """
    results = list(results)
    programs = dict.fromkeys(r.builder for r in results if r.builder != OWN)

    def chosen(method: str, builder: str) -> list[BuildingResult]:
        return [r for r in results if (r.method, r.builder) == (method, builder)]

    return {
        "methods": {method: _of_method(chosen(method, OWN)) for method in methods},
        "other_programs": {
            program: {
                method: _of_program(own) for method in methods if (own := chosen(method, program))
            }
            for program in programs
        },
    }


def _counts(results: Sequence[BuildingResult]) -> dict[str, Any]:
    declined = [r for r in results if r.status == "not applicable"]
    return {
        "n": sum(r.status == "done" for r in results),
        "n_not_applicable": len(declined),
        "n_crashed": sum(r.status == "crashed" for r in results),
        "reason": declined[0].message if declined else "",
    }


def _of_method(results: Sequence[BuildingResult]) -> dict[str, Any]:
    done = [r for r in results if r.status == "done"]
    found = _counts(results)
    if not done:
        return found
    return {
        **found,
        "pc_aligned": _mean([r.pc for r in done]),
        "weighted_phase_error_aligned": _mean([r.phase_error for r in done]),
        "phases_solved_share": _mean([r.phases_solved for r in done]),
        "right_hand_share": _mean([r.right_hand for r in done]),
        "models": {name: _model_summary([r.model(name) for r in done]) for name in MODELS},
        "poly_alanine": _trace_summary([r.trace for r in done]),
        "phasing_seconds": _mean([r.phasing_seconds for r in done]),
        "seconds": _mean([r.seconds for r in done]),
        "seconds_max": max(r.seconds for r in done),
        "cpu_seconds": _mean([r.cpu_seconds for r in done]),
        "cpu_seconds_max": max(r.cpu_seconds for r in done),
    }


def is_right(figures: ModelFigures) -> bool:
    """Whether a model is right: its backbone near the true one, and R low."""
    return figures.backbone_rmsd <= BACKBONE and figures.r_work < R_SOLVED


def _model_summary(models: Sequence[ModelFigures | None]) -> dict[str, Any]:
    n, built = len(models), [m for m in models if m is not None]
    accepted = [m for m in built if m.accepted]
    r_free = [m.r_free for m in built if m.r_free is not None]
    return {
        "built": len(built) / n,
        "r_below_0.38": sum(m.r_work < R_PAPER for m in built) / n,
        "r_free_below_0.38": sum(r < R_PAPER for r in r_free) / n if r_free else None,
        "r_below_0.15": sum(m.r_work < R_SOLVED for m in built) / n,
        "backbone_within_0.5": sum(m.backbone_rmsd <= BACKBONE for m in built) / n,
        "all_atoms_within_0.2": sum(m.all_atom_rmsd <= 0.2 for m in built) / n,
        "all_atoms_within_0.3": sum(m.all_atom_rmsd <= ALL_ATOMS for m in built) / n,
        "solved": sum(map(is_right, built)) / n,
        "accepted": len(accepted) / n,
        "accepted_wrong": sum(m.backbone_rmsd > BACKBONE for m in accepted),
        "r_work_median": _median([m.r_work for m in built]),
        "all_atom_rmsd_median": _median([m.all_atom_rmsd for m in built]),
        "cc_e_median": _median([m.cc_e for m in built]),
    }


def _trace_summary(traces: Sequence[PolyAlanine | None]) -> dict[str, Any]:
    n, found = len(traces), [trace for trace in traces if trace is not None]
    return {
        "traced": len(found) / n,
        "cc_f_from_0.25": sum(t.cc_f >= CC_PAPER for t in found) / n,
        "cc_e_from_0.25": sum(t.cc_e >= CC_PAPER for t in found) / n,
        "cc_f_median": _median([t.cc_f for t in found]),
        "cc_e_median": _median([t.cc_e for t in found]),
        "cc_e_least": min((t.cc_e for t in found), default=None),
        "cc_e_most": max((t.cc_e for t in found), default=None),
    }


def _of_program(results: Sequence[BuildingResult]) -> dict[str, Any]:
    done = [r for r in results if r.status == "done"]
    found = _counts(results)
    if not done:
        return found
    messages = [r.message for r in done if r.message]
    values = {
        name: [r.program[name] for r in done if r.program.get(name) is not None]
        for name in ("r_work", "r_free", "cc", "n_residues")
    }

    def fraction(name: str, right: Iterable[bool]) -> float | None:
        """None where the program gives no such figure of any model."""
        return sum(right) / len(done) if values[name] else None

    return {
        **found,
        "built": sum(bool(r.program) for r in done) / len(done),
        "without_model": messages[0] if messages else "",
        "r_below_0.38": fraction("r_work", (r < R_PAPER for r in values["r_work"])),
        "r_free_below_0.38": fraction("r_free", (r < R_PAPER for r in values["r_free"])),
        "cc_from_0.25": fraction("cc", (c >= CC_PAPER for c in values["cc"])),
        "n_residues_mean": _mean(values["n_residues"]),
        "seconds": _mean([r.seconds for r in done]),
    }


def _mean(values: Sequence[float | bool | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
