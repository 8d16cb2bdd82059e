"""Score of one phased crystal: map correlation and phase errors, before and after alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.comparison.compare import (
    SOLVED_COSINE,
    align,
    apply_alignment,
    pearson,
    phase_errors,
)
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import (
    d_star_sq_grid,
    density_from_grid,
    grid_from_density,
    grid_to_hkl,
    hkl_to_grid,
)
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal

N_SHELLS = 10


@dataclass(frozen=True, eq=False)
class Score:
    """Quality of one crystal's phases.

    Phase errors count measured reflections only, and a missing phase counts as 90 degrees.
    "Aligned" values are after the continuous origin shift and the hand that fit the truth best.

    Attributes
    ----------
    pc, pc_aligned
        Pearson correlation of the method's map with the true map (paper, equation 4): the
        network's raw prediction, the solver's FOM-weighted map, and measured amplitudes with the
        phases for methods that find phases alone.
    pc_better_hand
        The same with the true map or its inverse, whichever is higher: needs the truth.
    mean_phase_error, weighted_phase_error
        Mean and F-weighted mean, degrees, before alignment.
    mean_phase_error_aligned, weighted_phase_error_aligned, cosine_aligned
        After alignment; the last is the F^2-weighted mean cosine.
    inverted
        True if the other hand fits better.
    shell_count, shell_mean, shell_weighted
        Reflections and aligned errors in the shells of `pooled_edges`, shape (N_SHELLS,); NaN
        where a shell is empty.
    """

    pc: float
    pc_better_hand: float
    pc_aligned: float
    mean_phase_error: float
    weighted_phase_error: float
    mean_phase_error_aligned: float
    weighted_phase_error_aligned: float
    cosine_aligned: float
    inverted: bool
    shell_count: NDArray[np.int64]
    shell_mean: NDArray[np.float64]
    shell_weighted: NDArray[np.float64]

    @property
    def solved(self) -> bool:
        """True if the aligned F^2-weighted mean cosine reaches `SOLVED_COSINE`."""
        return self.cosine_aligned >= SOLVED_COSINE


def pooled_edges(d_min: float) -> NDArray[np.float64]:
    """Edges of shells of equal reciprocal volume to `d_min`, for any cell, shape (N_SHELLS + 1,).

    The first edge is infinite.
    """
    inverse = np.linspace(0.0, d_min**-3.0, N_SHELLS + 1)
    return np.concatenate(([np.inf], inverse[1:] ** (-1 / 3)))


def mean_scores(scores: Sequence[Score]) -> dict[str, float]:
    """Means over crystals, under their names in metrics.json."""
    names = (
        "pc", "pc_better_hand", "pc_aligned", "mean_phase_error", "weighted_phase_error",
        "mean_phase_error_aligned", "weighted_phase_error_aligned",
    )  # fmt: skip
    return {name: float(np.mean([getattr(s, name) for s in scores])) for name in names}


def pooled_shells(scores: Sequence[Score], d_min: float) -> list[dict[str, Any]]:
    """Aligned phase errors in the shells of `pooled_edges`, pooled over all reflections."""
    edges = pooled_edges(d_min)
    count = np.array([s.shell_count for s in scores])
    total = count.sum(axis=0)
    rows: list[dict[str, Any]] = []
    for i in np.flatnonzero(total):
        filled = count[:, i] > 0
        weights = count[filled, i] / total[i]
        mean, weighted = (
            float(np.array([getattr(s, name)[i] for s in scores])[filled] @ weights)
            for name in ("shell_mean", "shell_weighted")
        )
        rows.append(
            {
                "d_max": float(edges[i]) if np.isfinite(edges[i]) else None,
                "d_min": float(edges[i + 1]),
                "n": int(total[i]),
                "mean_phase_error_aligned": mean,
                "weighted_phase_error_aligned": weighted,
            }
        )
    return rows


def score(
    crystal: SyntheticCrystal,
    phi: NDArray[np.float64],
    d_min: float,
    density: DensityMap | None = None,
) -> Score:
    """Compare phases with those of the crystal's true model.

    Parameters
    ----------
    crystal
        The crystal and its truth, in P1.
    phi
        Phases found, degrees, shape (n,) as ``crystal.data.hkl``; NaN where there is none.
    d_min
        Resolution limit of the shells, A.
    density
        The map to correlate with the true map, on any grid; only its coefficients at the crystal's
        reflections count, measured or not. By default it is computed from the measured amplitudes
        with `phi`.

    Returns
    -------
    Score
    """
    data, shape = crystal.data, crystal.density.shape
    volume = data.cell.volume
    f = np.where(data.measured, data.f, 0.0)
    reference = _half_grid(crystal, f, crystal.phi_true)
    found = _half_grid(crystal, f, phi)
    alignment = align(found, reference)
    orth = torch.tensor(data.orth, dtype=torch.float64)
    shells_of = d_star_sq_grid(orth, shape)
    as_is = phase_errors(found, reference)
    errors = phase_errors(
        apply_alignment(found, alignment), reference, None, shells_of, pooled_edges(d_min)
    )
    shells = errors.shells
    assert shells is not None

    truth = torch.from_numpy(crystal.density.values).double()[None]
    if density is not None:
        found = _resampled(crystal, density)
    stands, mirrored = (
        density_from_grid(F, shape, volume) for F in (found, found.conj().resolve_conj())
    )
    aligned = density_from_grid(apply_alignment(found, alignment), shape, volume)
    return Score(
        pc=float(pearson(stands, truth)),
        pc_better_hand=float(torch.maximum(pearson(stands, truth), pearson(mirrored, truth))),
        pc_aligned=float(pearson(aligned, truth)),
        mean_phase_error=float(as_is.mean),
        weighted_phase_error=float(as_is.weighted),
        mean_phase_error_aligned=float(errors.mean),
        weighted_phase_error_aligned=float(errors.weighted),
        cosine_aligned=float(errors.cosine2),
        inverted=bool(alignment.inverted),
        shell_count=shells.n[0].numpy(),
        shell_mean=shells.mean[0].numpy(),
        shell_weighted=shells.weighted[0].numpy(),
    )


def _resampled(crystal: SyntheticCrystal, density: DensityMap) -> Tensor:
    """Coefficients of a map at the crystal's reflections, in the layout of `_half_grid`."""
    inside = (2 * np.abs(crystal.data.hkl) < np.array(density.shape)).all(axis=1)
    hkl = torch.from_numpy(crystal.data.hkl[inside].astype(np.int64))
    values = torch.from_numpy(density.values).double()[None]
    F = grid_from_density(values, crystal.data.cell.volume)
    return hkl_to_grid(hkl, grid_to_hkl(F, hkl), crystal.density.shape)


def _half_grid(
    crystal: SyntheticCrystal, f: NDArray[np.float64], phi: NDArray[np.float64]
) -> Tensor:
    """Complex half grid, shape (1, nu, nv, nw // 2 + 1); zero without amplitude or phase."""
    values = np.where(np.isfinite(phi), f * np.exp(1j * np.radians(np.nan_to_num(phi))), 0.0)
    hkl = torch.from_numpy(crystal.data.hkl.astype(np.int64))
    return hkl_to_grid(hkl, torch.from_numpy(values), crystal.density.shape)[None]
