"""R factor and least-squares scale of calculated against measured amplitudes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# One implementation for both: tensors on any device, differentiable, and arrays.
_Array = TypeVar("_Array", Tensor, NDArray[np.float64])
_NO_AMPLITUDE = 1e-30  # sum of squares below which nothing is calculated and the scale is zero


def amplitude_scale(observed: _Array, calculated: _Array, weights: _Array | None = None) -> _Array:
    """Scale k that minimises sum w (|Fo| - k |Fc|)^2.

    Parameters
    ----------
    observed
        Measured amplitudes, shape (m,) or (..., m).
    calculated
        Amplitudes of one or more models, shape (..., m).
    weights
        Weight of each reflection, shape (m,) or (..., m); all equal if omitted.

    Returns
    -------
    Shape (...).
    """
    weighted = calculated if weights is None else calculated * weights
    square = (weighted * calculated).sum(-1)
    return (weighted * observed).sum(-1) / (square + _NO_AMPLITUDE)


def r_factor(
    observed: _Array,
    calculated: _Array,
    weights: _Array | None = None,
    scale: _Array | None = None,
) -> _Array:
    """R = sum w | |Fo| - k |Fc| | / sum w |Fo|.

    Parameters
    ----------
    observed, calculated, weights
        As in `amplitude_scale`.
    scale
        k, shape (...); by least squares if omitted.

    Returns
    -------
    Shape (...).
    """
    k = amplitude_scale(observed, calculated, weights) if scale is None else scale
    difference = abs(k[..., None] * calculated - observed)
    if weights is None:
        return difference.sum(-1) / observed.sum(-1)
    return (difference * weights).sum(-1) / (observed * weights).sum(-1)
