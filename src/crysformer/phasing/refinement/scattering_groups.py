"""Scattering factors of a peptide's atoms, one for each element or one for all."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.form_factors import form_factors, gaussians
from crysformer.crystal.reflections import Radiation


def scattering_groups(
    number: NDArray[np.int64],
    s_sq: Tensor,
    b_iso: float,
    by_element: bool,
    weight: Tensor,
    radiation: Radiation,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Groups of atoms that share a scattering factor.

    Parameters
    ----------
    number
        Atomic numbers, shape (n,).
    s_sq
        1/d^2, shape (h,), A^-2.
    b_iso
        B of every atom, A^2.
    by_element
        One group for each element; otherwise one group of all atoms, each with the factor of
        carbon times the mean ratio of its own factor to that.
    weight
        Weight of each reflection in that mean, shape (h,), summing to one.
    radiation
        Kind of scattering factors.

    Returns
    -------
    list of (rows, weights, factor)
        Rows and relative weights of the atoms of each group, shape (k,), and the scattering
        factor of the group with its B, shape (h,).
    """
    a, b = gaussians(radiation)
    elements = sorted(set(number.tolist()))
    debye = torch.exp(-0.25 * b_iso * s_sq)
    f = dict(zip(elements, form_factors(a[elements], b[elements], s_sq), strict=True))
    rows = {z: torch.as_tensor(np.flatnonzero(number == z)) for z in elements}
    if by_element:
        return [(rows[z], torch.ones(len(rows[z])), f[z] * debye) for z in elements]
    carbon = f[6]
    relative = torch.ones(len(number))
    for z in elements:
        relative[rows[z]] = (weight * f[z] / carbon).sum()
    return [(torch.arange(len(number)), relative, carbon * debye)]
