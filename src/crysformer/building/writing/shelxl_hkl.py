"""Measured reflections as an .hkl file for SHELXL."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData

_LARGEST = 9999.0  # value that is written, so that all of them have decimals
_WIDTH, _MOST_DECIMALS = 8, 4
_ASSUMED_ERROR = 0.02  # of amplitudes without standard uncertainties


def shelxl_hkl(data: CrystalData, free: FreeSet) -> str:
    """Text of an .hkl file: intensities (HKLF 4) if they were measured, else amplitudes (HKLF 3).

    Intensities are squares of the amplitudes that French and Wilson's method gave, since those of
    the input are not kept. Free reflections have the batch number -1, others 1. The scale is
    changed so that the values fit their columns.

    Parameters
    ----------
    data
        The crystal; unmeasured reflections are left out.
    free
        Its free set.
    """
    kept = data.measured
    value = data.f[kept]
    sigma = _ASSUMED_ERROR * value if data.sigf is None else data.sigf[kept]
    sigma = np.where(np.isfinite(sigma) & (sigma > 0), sigma, _ASSUMED_ERROR * value)
    if data.kind == "intensities":
        # the variance of the square of a normal variable, not zero for weak reflections
        value, sigma = value**2, np.sqrt(4 * value**2 * sigma**2 + 2 * sigma**4)
    scale = _LARGEST / max(float(value.max(initial=0)), float(sigma.max(initial=0)), 1e-30)
    batch = np.where(free.free[kept], -1, 1)
    columns = (_columns(value, scale), _columns(sigma, scale), batch.tolist())
    rows = zip(data.hkl[kept].tolist(), *columns, strict=True)
    lines = ["".join(f"{index:4d}" for index in hkl) + f"{f}{s}{b:4d}" for hkl, f, s, b in rows]
    return "\n".join([*lines, f"{0:4d}{0:4d}{0:4d}{0:8.2f}{0:8.2f}{0:4d}", ""])


def _columns(values: NDArray[np.float64], scale: float) -> list[str]:
    """Numbers in columns of eight characters, with as many decimals as fit."""
    out = []
    for value in (values * scale).tolist():
        decimals = _MOST_DECIMALS
        while len(text := f"{value:.{decimals}f}") > _WIDTH - 1 and decimals > 0:
            decimals -= 1
        out.append(text.rjust(_WIDTH))
    return out
