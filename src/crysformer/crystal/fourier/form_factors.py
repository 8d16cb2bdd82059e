"""Atomic scattering factors as sums of Gaussians, for X-rays and for electrons."""

from __future__ import annotations

from functools import lru_cache

import gemmi
import torch
from torch import Tensor

from crysformer.crystal.reflections import Radiation
from crysformer.errors import InputError, UsageError

_N_ELEMENTS = 119  # row = atomic number; row 0 is padding and scatters nothing


@lru_cache
def _table(radiation: Radiation) -> tuple[Tensor, Tensor]:
    if radiation not in ("xray", "electron"):
        raise UsageError(f"radiation {radiation!r}: expected 'xray' or 'electron'")
    a = torch.zeros(_N_ELEMENTS, 5, dtype=torch.float64)
    b = torch.zeros(_N_ELEMENTS, 5, dtype=torch.float64)
    for number in range(1, _N_ELEMENTS):
        element = gemmi.Element(number)
        if radiation == "xray" and (xray := element.it92):
            a[number] = torch.tensor([*xray.a, xray.c], dtype=torch.float64)
            b[number, :4] = torch.tensor(xray.b, dtype=torch.float64)
        elif radiation == "electron" and (electron := element.c4322):
            a[number] = torch.tensor(electron.a, dtype=torch.float64)
            b[number] = torch.tensor(electron.b, dtype=torch.float64)
    return a, b


def gaussians(
    radiation: Radiation = "xray",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Coefficients of the scattering factors of neutral atoms.

    f(s) = sum_i a_i exp(-b_i s^2 / 4) with s = 1/d. X-rays: International Tables C (1992),
    table 6.1.1.4, whose constant c is a Gaussian with b = 0 (electrons). Electrons: table 4.3.2.2
    (A). Both as gemmi carries them.

    Parameters
    ----------
    radiation
        ``"xray"`` or ``"electron"``.
    dtype, device
        Of the tensors returned.

    Returns
    -------
    (a, b)
        Each of shape (119, 5); the row is the atomic number, b in A^2. Rows of elements without
        coefficients, and row 0 (padding), are zero.
    """
    a, b = _table(radiation)
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
    a, _ = _table(radiation)
    found = set(torch.unique(numbers).tolist()) - {0}
    known = set(torch.nonzero(a.abs().sum(1)).flatten().tolist())
    if unknown := sorted(found - known):
        names = ", ".join(
            gemmi.Element(n).name if 0 < n < _N_ELEMENTS else f"number {n}" for n in unknown
        )
        raise InputError(f"no {radiation} scattering factor for {names}; remove these atoms")


def form_factors(a: Tensor, b: Tensor, d_star_sq: Tensor) -> Tensor:
    """Scattering factors at given resolutions.

    Parameters
    ----------
    a, b
        Coefficients, shape (E, 5), from `gaussians`.
    d_star_sq
        1/d^2 in A^-2, shape (..., H).

    Returns
    -------
    Tensor
        f, shape (..., E, H).
    """
    exponent = -0.25 * b[:, :, None] * d_star_sq[..., None, None, :]
    return (a[:, :, None] * torch.exp(exponent)).sum(-2)
