"""Score of the phases of one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import (
    SOLVED_PHASE_ERROR,
    PhaseComparison,
    compare_phases,
)
from crysformer.crystal.io.read_phases import PhasedReflections, coefficients_at
from crysformer.errors import InputError
from crysformer.evaluation.phases.truth import Truth
from crysformer.evaluation.scoring import Score, pooled_edges

#: Largest difference of a cell edge (relative) and angle (degrees) from that of the truth.
_EDGE_TOLERANCE, _ANGLE_TOLERANCE = 0.015, 1.5


@dataclass(frozen=True, eq=False)
class PhaseScore:
    """Score of one file.

    Attributes
    ----------
    name
        Name of the crystal.
    score
        Phase errors and map correlations.
    n
        Measured reflections that were compared.
    d_min
        Resolution of the measured reflections, A.
    labels
        The columns that were scored.
    solved
        True if the aligned F-weighted phase error is at most `SOLVED_PHASE_ERROR`.
    shift
        Fractional origin shift applied to the phases, shape (3,), after the inversion if any.
    notes
        Assumptions, a sentence each.
    """

    name: str
    score: Score
    n: int
    d_min: float
    labels: tuple[str, ...]
    solved: bool
    shift: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def resolution_of(found: PhasedReflections) -> float:
    """Resolution of the reflections that count, A: measured, or with an amplitude of the map.

    Raises
    ------
    InputError
        If there is none.
    """
    f = found.f if found.f is not None else found.f_map
    counted = np.isfinite(f) & found.hkl.any(axis=1)
    if not counted.any():
        raise InputError(
            f"{found.source}: no amplitude beside the phases; expected measured amplitudes (F, "
            "SIGF) or the amplitude of the map; name it with `labin`"
        )
    return float(np.asarray(found.cell.calculate_d_array(found.hkl[counted])).min())


def score_phases(
    found: PhasedReflections, truth: Truth, name: str = "", d_min: float | None = None
) -> PhaseScore:
    """Compare the phases of a file with the truth, as they stand and aligned.

    Origin and hand are aligned continuously in P1, so that any origin that the space group permits
    is found. Phase errors are over the measured reflections of `found`, or over its map
    coefficients if it has no measured amplitudes; one without a phase counts as 90 degrees. Where
    the space groups of phases and truth differ (a P1 solution of another group, or the other one
    of an enantiomorphic pair), reflections are counted in P1.

    Parameters
    ----------
    found
        The phases.
    truth
        What they are compared with.
    name
        Of the crystal.
    d_min
        Resolution of the common shells, A; that of `found` by default.

    Raises
    ------
    InputError
        If the cells differ, or no reflection has a true phase.
    """
    if truth.cell is not None:
        check_cells(found.source, found.cell, truth.source, truth.cell)
    notes = []
    if truth.cell is None:
        notes.append(f"{truth.source} has no cell; that of the phases was taken")
    if found.f is None:
        notes.append("no measured amplitudes: the amplitudes of the map weight the phase errors")
    group = truth.space_group
    if group is not None and group.xhm() != found.space_group.xhm():
        notes.append(
            f"phases in {found.space_group.xhm()}, truth in {group.xhm()}: compared in P 1"
        )
        found = found.expanded()
    f = found.f if found.f is not None else found.f_map
    limit = resolution_of(found)
    true = truth.at(found.hkl, limit, found)
    phi_true = np.where(np.isfinite(true) & (true != 0), np.degrees(np.angle(true)), np.nan)
    if not (np.isfinite(phi_true) & np.isfinite(f) & found.hkl.any(axis=1)).any():
        raise InputError(
            f"{found.source}: none of its reflections has a phase in {truth.source}; expected "
            "files of the same crystal"
        )
    compared = compare_phases(
        found.hkl, f, found.phi, phi_true, found.cell, found.space_group,
        edges=pooled_edges(limit if d_min is None else d_min),
    )  # fmt: skip
    return PhaseScore(
        name=name,
        score=_score(compared, *_map_correlations(found, truth, limit, compared)),
        n=compared.n,
        d_min=limit,
        labels=found.labels,
        solved=compared.weighted_aligned <= SOLVED_PHASE_ERROR,
        shift=compared.shift,
        notes=tuple(notes),
    )


def _map_correlations(
    found: PhasedReflections, truth: Truth, d_min: float, compared: PhaseComparison
) -> tuple[float, float, float]:
    """Correlation with the true map: as it stands, of the better hand, and aligned.

    By Parseval's theorem from the coefficients; reflections without one in `found` are zero in its
    map, and F(000) is in neither.
    """
    hkl = truth.complete(d_min, found)
    true = np.nan_to_num(truth.at(hkl, d_min, found))
    p1 = found.expanded()
    own = np.nan_to_num(coefficients_at(p1.hkl, p1.coefficients, hkl))
    moved = own.conj() if compared.inverted else own
    moved = moved * np.exp(2j * np.pi * (hkl @ compared.shift))
    keep = hkl.any(axis=1)

    def correlation(F: NDArray[np.complex128]) -> float:
        a, b = F[keep], true[keep]
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float((a * b.conj()).real.sum()) / norm if norm else 0.0

    as_is = correlation(own)
    return as_is, max(as_is, correlation(own.conj())), correlation(moved)


def _score(compared: PhaseComparison, pc: float, better_hand: float, aligned: float) -> Score:
    shells = np.array([shell[2:5] for shell in compared.shells], dtype=np.float64)
    return Score(
        pc=pc,
        pc_better_hand=better_hand,
        pc_aligned=aligned,
        mean_phase_error=compared.mean,
        weighted_phase_error=compared.weighted,
        mean_phase_error_aligned=compared.mean_aligned,
        weighted_phase_error_aligned=compared.weighted_aligned,
        cosine_aligned=compared.cosine2_aligned,
        inverted=compared.inverted,
        shell_count=shells[:, 0].astype(np.int64),
        shell_mean=shells[:, 1],
        shell_weighted=shells[:, 2],
    )


def check_cells(one: str, cell: gemmi.UnitCell, other: str, expected: gemmi.UnitCell) -> None:
    """Refuse two files whose cells differ by more than those of one crystal do.

    Raises
    ------
    InputError
        Names both, and their cells.
    """
    found, wanted = (np.array(c.parameters) for c in (cell, expected))
    differs = np.abs(found - wanted)
    if (differs[:3] > _EDGE_TOLERANCE * wanted[:3]).any() or (differs[3:] > _ANGLE_TOLERANCE).any():
        shown = [" ".join(f"{x:g}" for x in c.tolist()) for c in (found, wanted)]
        raise InputError(
            f"{one}: cell {shown[0]}, but {other} has {shown[1]}; expected files of the same "
            "crystal"
        )


def row(scored: PhaseScore) -> dict[str, Any]:
    """Row of the table of crystals."""
    s = scored.score
    return {
        "id": scored.name,
        "columns": ",".join(scored.labels),
        "n_reflections": scored.n,
        "d_min": round(scored.d_min, 3),
        "pc": s.pc,
        "pc_better_hand": s.pc_better_hand,
        "pc_aligned": s.pc_aligned,
        "mean_phase_error": s.mean_phase_error,
        "weighted_phase_error": s.weighted_phase_error,
        "mean_phase_error_aligned": s.mean_phase_error_aligned,
        "weighted_phase_error_aligned": s.weighted_phase_error_aligned,
        "cosine_aligned": s.cosine_aligned,
        "inverted": s.inverted,
        "solved": scored.solved,
    }
