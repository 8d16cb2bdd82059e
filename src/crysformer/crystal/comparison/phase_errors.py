"""Phase errors over measured reflections and in resolution shells, in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from crysformer.crystal.comparison.alignment import friedel_multiplicity, unit_phases
from crysformer.crystal.resolution import LIMIT_TOLERANCE


@dataclass(frozen=True, eq=False)
class PhaseErrors:
    """Phase errors of a batch, over measured reflections; a missing phase counts as 90 degrees.

    Attributes
    ----------
    mean
        Mean |phi_model - phi_reference|, degrees, shape (B,), or (B, S) for shells.
    weighted
        The same weighted by F.
    cosine2
        Mean cosine of the phase error weighted by F^2.
    n
        Number of independent measured reflections (one of each Friedel pair).
    shells
        The same for each resolution shell, with `edges` between them, or None. Empty shells
        hold NaN.
    edges
        Shell limits as d in A, descending, shape (S + 1,), or None.
    """

    mean: Tensor
    weighted: Tensor
    cosine2: Tensor
    n: Tensor
    shells: PhaseErrors | None = None
    edges: Tensor | None = None


def shell_edges(d_max: float, d_min: float, n_shells: int) -> NDArray[np.float64]:
    """Limits of shells of equal reciprocal volume, as d in A, descending, (n_shells + 1,)."""
    return np.asarray(np.linspace(d_max**-3.0, d_min**-3.0, n_shells + 1) ** (-1 / 3))


def phase_errors(
    F_model: Tensor,
    F_reference: Tensor,
    measured: Tensor | None = None,
    d_star_sq: Tensor | None = None,
    edges: ArrayLike | None = None,
) -> PhaseErrors:
    """Phase errors of half grids as they stand (align first to compare up to origin and hand).

    Parameters
    ----------
    F_model
        Complex half grid in P1, shape (B, nu, nv, nw // 2 + 1); only its phases count.
    F_reference
        The same for the reference; |F_reference| weights.
    measured
        Boolean half grid of the reflections that count; by default where F_reference is not zero.
    d_star_sq, edges
        1/d^2 half grid (`d_star_sq_grid`) and descending shell limits in A (`shell_edges`), for
        errors in resolution shells.

    Returns
    -------
    PhaseErrors
    """
    amplitude = F_reference.abs()
    if measured is None:
        measured = amplitude > 0
    weight = 0.5 * friedel_multiplicity(F_reference) * measured
    weight[:, 0, 0, 0] = 0
    product = unit_phases(F_model) * unit_phases(F_reference).conj()
    shell = None
    if d_star_sq is not None and edges is not None:
        shell = shell_index(d_star_sq, edges).expand_as(weight).flatten(1)
    return phase_statistics(
        product.flatten(1), amplitude.flatten(1), weight.flatten(1), shell, edges
    )


def shell_index(d_star_sq: Tensor, edges: ArrayLike) -> Tensor:
    """Shell number of each reflection; -1 outside the limits, which themselves are inside."""
    limits = torch.as_tensor(np.asarray(edges), dtype=d_star_sq.dtype, device=d_star_sq.device)
    s_sq = limits**-2
    s_sq[0] *= 1 - LIMIT_TOLERANCE
    s_sq[-1] *= 1 + LIMIT_TOLERANCE
    index = torch.bucketize(d_star_sq, s_sq, right=True) - 1
    return torch.where((index >= 0) & (index < len(s_sq) - 1), index, -1)


def phase_statistics(
    product: Tensor,
    amplitude: Tensor,
    weight: Tensor,
    shell: Tensor | None = None,
    edges: ArrayLike | None = None,
) -> PhaseErrors:
    """Errors from unit products, their amplitudes and their weights.

    Parameters
    ----------
    product
        exp(i (phi_model - phi_reference)), shape (B, H); zero where a phase is missing.
    amplitude
        F, shape (B, H).
    weight
        Fraction of an independent reflection in each entry, shape (B, H); 0 where not measured.
    shell, edges
        Shell number of each entry, shape (B, H) (`shell_index`), and the shell limits.

    Returns
    -------
    PhaseErrors
    """
    error = torch.where(product == 0, math.pi / 2, product.angle().abs())
    amplitude = torch.nan_to_num(amplitude)
    columns = torch.stack(
        [
            weight,
            weight * error,
            weight * amplitude,
            weight * amplitude * error,
            weight * amplitude**2,
            weight * amplitude**2 * product.real,
        ]
    )

    def reduced(sums: Tensor) -> PhaseErrors:
        n, n_error, f, f_error, f2, f2_cosine = sums
        return PhaseErrors(
            mean=torch.rad2deg(n_error / n),
            weighted=torch.rad2deg(f_error / f),
            cosine2=(f2_cosine / f2).clamp(max=1.0),
            n=n.round().long(),
        )

    overall = reduced(columns.sum(-1))
    if shell is None or edges is None:
        return overall
    limits = torch.as_tensor(np.asarray(edges), dtype=amplitude.dtype, device=amplitude.device)
    sums = columns.new_zeros(*columns.shape[:2], len(limits))
    # shells are shifted by one: slot 0 collects what lies outside the limits
    sums.scatter_add_(-1, (shell + 1).expand_as(columns), columns)
    return replace(overall, shells=reduced(sums[..., 1:]), edges=limits)
