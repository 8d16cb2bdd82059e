"""Agreement of phases and maps: Pearson correlation, phase errors, and criteria of a solution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.comparison.alignment import Alignment, align, apply_alignment
from crysformer.crystal.comparison.phase_errors import (
    PhaseErrors,
    phase_errors,
    phase_statistics,
    shell_edges,
    shell_index,
)
from crysformer.crystal.fourier.grids import hkl_to_grid
from crysformer.crystal.symmetry import p1_mapping

__all__ = [
    "SOLVED_COSINE",
    "SOLVED_PHASE_ERROR",
    "Alignment",
    "PhaseComparison",
    "PhaseErrors",
    "align",
    "apply_alignment",
    "compare_phases",
    "pearson",
    "phase_errors",
    "shell_edges",
]

SOLVED_COSINE = 0.85
"""Synthetic crystals: aligned F^2-weighted mean cosine from which a crystal counts as solved."""
SOLVED_PHASE_ERROR = 40.0
"""Real crystals: largest F-weighted phase error (degrees) to the deposited model."""


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation over all voxels (paper, equation 4).

    Parameters
    ----------
    a, b
        Maps, shape (B, ...).

    Returns
    -------
    Tensor
        Shape (B,); zero where a map is constant.
    """
    x, y = (m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (a, b))
    return (torch.nn.functional.normalize(x) * torch.nn.functional.normalize(y)).sum(1)


@dataclass(frozen=True, eq=False)
class PhaseComparison:
    """Two phase sets of one crystal compared, as they stand and aligned.

    Attributes
    ----------
    mean, weighted, cosine2
        Mean and F-weighted phase error (degrees), F^2-weighted mean cosine, as they stand.
    mean_aligned, weighted_aligned, cosine2_aligned
        The same after continuous alignment of origin and hand; equal to the former when no
        alignment was asked for.
    shift
        Fractional origin shift applied to the model, shape (3,).
    inverted
        Whether the model was inverted (before the shift).
    n
        Number of unique measured reflections compared.
    shells
        Aligned errors in resolution shells: (d_max, d_min, n, mean, weighted, cosine2) each.
    """

    mean: float
    weighted: float
    cosine2: float
    mean_aligned: float
    weighted_aligned: float
    cosine2_aligned: float
    shift: NDArray[np.float64]
    inverted: bool
    n: int
    shells: tuple[tuple[float, float, int, float, float, float], ...]


def compare_phases(
    hkl: NDArray[np.int32],
    f: NDArray[np.float64],
    phi_model: NDArray[np.float64],
    phi_reference: NDArray[np.float64],
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    align: bool = True,
    n_shells: int = 10,
    edges: NDArray[np.float64] | None = None,
) -> PhaseComparison:
    """Compare phases of unique reflections of any space group.

    Both sets are expanded to P1 and aligned there, so that any permitted (or false) origin is
    found; every unique reflection counts once, divided among its symmetry mates.

    Parameters
    ----------
    hkl
        Unique Miller indices, shape (n, 3).
    f
        Measured amplitudes, shape (n,); NaN where not measured (these do not count).
    phi_model, phi_reference
        Degrees, shape (n,). A NaN in the model counts as 90 degrees of error, reflections with a
        NaN in the reference do not count.
    cell, space_group
        Of the crystal.
    align
        Search origin and hand.
    n_shells
        Number of resolution shells, of equal reciprocal volume.
    edges
        Limits of the shells as d in A, descending, instead of `n_shells`.

    Returns
    -------
    PhaseComparison
    """
    used = np.isfinite(f) & np.isfinite(phi_reference) & np.any(hkl != 0, axis=1)
    if not used.any():
        raise ValueError("no measured reflection with a reference phase to compare")
    mapping = p1_mapping(hkl[used], space_group)
    d = np.asarray(cell.calculate_d_array(mapping.hkl))
    edges = shell_edges(d.max(), d.min(), n_shells) if edges is None else edges
    fraction = torch.from_numpy(1.0 / mapping.mates())[None]
    amplitude = torch.from_numpy(mapping.values(np.asarray(f, dtype=np.float64)[used]))[None]
    model, reference = (
        torch.from_numpy(_unit_phases(mapping.phases(phi[used])))[None]
        for phi in (phi_model, phi_reference)
    )
    shell = shell_index(torch.from_numpy(d**-2.0), edges)[None]
    as_is = phase_statistics(model * reference.conj(), amplitude, fraction, shell, edges)
    aligned, shift, inverted = as_is, np.zeros(3), False
    if align:
        found, model = _align_lists(mapping.hkl, model, reference, fraction * amplitude**2)
        aligned = phase_statistics(model * reference.conj(), amplitude, fraction, shell, edges)
        shift, inverted = found.shift[0].numpy(), bool(found.inverted[0])
    shells = aligned.shells
    assert shells is not None
    return PhaseComparison(
        mean=float(as_is.mean),
        weighted=float(as_is.weighted),
        cosine2=float(as_is.cosine2),
        mean_aligned=float(aligned.mean),
        weighted_aligned=float(aligned.weighted),
        cosine2_aligned=float(aligned.cosine2),
        shift=shift,
        inverted=inverted,
        n=int(as_is.n),
        shells=tuple(
            zip(
                edges[:-1].tolist(),
                edges[1:].tolist(),
                shells.n[0].tolist(),
                shells.mean[0].tolist(),
                shells.weighted[0].tolist(),
                shells.cosine2[0].tolist(),
                strict=True,
            )
        ),
    )


def _unit_phases(phi: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.where(np.isfinite(phi), np.exp(1j * np.radians(np.nan_to_num(phi))), 0.0)


def _align_lists(
    hkl: NDArray[np.int32], model: Tensor, reference: Tensor, weights: Tensor
) -> tuple[Alignment, Tensor]:
    """Align unit phases listed in P1, shape (1, H); returns also the aligned model's."""
    indices = torch.from_numpy(hkl).long()
    nu, nv, nw = (2 * indices.abs().amax(0) + 1).tolist()
    shape = (nu, nv, nw)
    found = align(
        hkl_to_grid(indices, model, shape),
        hkl_to_grid(indices, reference, shape),
        hkl_to_grid(indices, weights, shape),
    )
    angle = 2 * math.pi * (indices.to(found.shift.dtype) @ found.shift[0])
    moved = model.conj() if bool(found.inverted[0]) else model
    return found, moved * torch.polar(torch.ones_like(angle), angle)
