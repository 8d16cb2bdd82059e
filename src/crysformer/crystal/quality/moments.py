"""Moments of the distribution of intensities about their expected values.

For atoms at random (Wilson, Acta Cryst. 2, 318, 1949), with E^2 = I / <I>:

| | <I^2>/<I>^2 | <|E^2 - 1|> |
|---|---|---|
| acentric | 2 | 0.736 |
| centric | 3 | 0.968 |
| acentric, perfect twin | 1.5 | 0.541 |
| centric, perfect twin | 2 | 0.736 |

Pseudo-translation and errors of weak data raise them; neighbours that resemble each other do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Moments of `n` reflections, with their standard uncertainties.

    Attributes
    ----------
    second
        <I^2>/<I>^2.
    deviation
        <|E^2 - 1|>.
    """

    n: int
    second: float
    second_error: float
    deviation: float
    deviation_error: float


def moments(e_squared: NDArray[np.float64]) -> Moments | None:
    """Moments of normalised intensities, shape (n,), none NaN.

    None for fewer than 10, or if all are 0.

    Uncertainties are those of independent reflections, the normalisation taken into account
    (the variance of the influence function).
    """
    if len(e_squared) < 10 or not e_squared.mean() > 0:
        return None
    x = e_squared / e_squared.mean()
    second = float(np.mean(x**2))
    deviation = float(np.mean(np.abs(x - 1)))
    slope = float(np.mean(x * np.sign(x - 1)))  # by which <|x - 1|> changes with the scale
    n = len(x)
    return Moments(
        n=n,
        second=second,
        second_error=float(np.std(x**2 - 2 * second * (x - 1)) / np.sqrt(n)),
        deviation=deviation,
        deviation_error=float(np.std(np.abs(x - 1) - slope * (x - 1)) / np.sqrt(n)),
    )
