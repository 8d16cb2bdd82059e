"""Atomic scattering factors as tensors."""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.reflections import Radiation
from crysformer.crystal.scattering_factors import N_ELEMENTS, gaussian_coefficients
from crysformer.crystal.scattering_factors import form_factors as form_factors
from crysformer.errors import InputError


def gaussians(
    radiation: Radiation = "xray",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Coefficients of the scattering factors of neutral atoms, as `gaussian_coefficients`.

    Parameters
    ----------
    radiation
        ``"xray"`` or ``"electron"``.
    dtype, device
        Of the tensors returned.
    """
    a, b = (torch.from_numpy(x) for x in gaussian_coefficients(radiation))
    return a.to(device=device, dtype=dtype), b.to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
def element_gaussians(
    elements: tuple[int, ...], radiation: Radiation, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Atomic numbers (E,), a and b (E, 5) of these elements, made once for each device."""
    a, b = gaussians(radiation, dtype, device)
    numbers = torch.tensor(elements, dtype=torch.int64, device=device)
    return numbers, a[numbers], b[numbers]


def require_known(numbers: Tensor, radiation: Radiation = "xray") -> None:
    """Refuse atomic numbers that have no scattering factor.

    Parameters
    ----------
    numbers
        Atomic numbers of any shape; zero (padding) is accepted.

    Raises
    ------
    InputError
        Naming the elements without coefficients.
    """
    a, _ = gaussian_coefficients(radiation)
    found = set(torch.unique(numbers).tolist()) - {0}
    known = set(np.flatnonzero(np.abs(a).sum(1)).tolist())
    if unknown := sorted(found - known):
        names = ", ".join(
            gemmi.Element(n).name if 0 < n < N_ELEMENTS else f"number {n}" for n in unknown
        )
        raise InputError(f"no {radiation} scattering factor for {names}; remove these atoms")
