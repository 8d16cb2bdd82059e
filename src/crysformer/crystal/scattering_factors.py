"""Atomic scattering factors as sums of Gaussians, for X-rays and for electrons.

Arrays here; tensors on any device in `crysformer.crystal.fourier.form_factors`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import Radiation
from crysformer.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

# One implementation for both: tensors on any device, differentiable, and arrays.
_Array = TypeVar("_Array", "Tensor", NDArray[np.float64])
N_ELEMENTS = 119
"""Rows of the tables: atomic numbers, of which 0 is padding and scatters nothing."""


@lru_cache
def gaussian_coefficients(
    radiation: Radiation = "xray",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients of the scattering factors of neutral atoms.

    f(s) = sum_i a_i exp(-b_i s^2 / 4) with s = 1/d. X-rays: International Tables C (1992),
    table 6.1.1.4, whose constant c is a Gaussian with b = 0 (electrons). Electrons: table 4.3.2.2
    (A). Both as gemmi carries them.

    Parameters
    ----------
    radiation
        ``"xray"`` or ``"electron"``.

    Returns
    -------
    (a, b)
        Each of shape (119, 5), not to be changed; the row is the atomic number, b in A^2. Rows of
        elements without coefficients, and row 0 (padding), are zero.

    Raises
    ------
    UsageError
        If there is no such radiation.
    """
    if radiation not in ("xray", "electron"):
        raise UsageError(f"radiation {radiation!r}: expected 'xray' or 'electron'")
    a, b = np.zeros((N_ELEMENTS, 5)), np.zeros((N_ELEMENTS, 5))
    for number in range(1, N_ELEMENTS):
        element = gemmi.Element(number)
        if radiation == "xray" and (xray := element.it92):
            a[number] = [*xray.a, xray.c]
            b[number, :4] = xray.b
        elif radiation == "electron" and (electron := element.c4322):
            a[number], b[number] = electron.a, electron.b
    return a, b


def form_factors(a: _Array, b: _Array, d_star_sq: _Array) -> _Array:
    """Scattering factors at given resolutions.

    Parameters
    ----------
    a, b
        Coefficients, shape (E, 5), from `gaussian_coefficients`.
    d_star_sq
        1/d^2 in A^-2, shape (..., H).

    Returns
    -------
    f, shape (..., E, H).
    """
    exponent = -0.25 * b[:, :, None] * d_star_sq[..., None, None, :]
    decay = np.exp(exponent) if isinstance(exponent, np.ndarray) else exponent.exp()
    return (a[:, :, None] * decay).sum(-2)
