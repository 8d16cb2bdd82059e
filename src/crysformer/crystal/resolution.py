"""Resolution limits and shells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

#: Relative tolerance in 1/d^2: reflections on a resolution limit are inside, whatever the rounding.
LIMIT_TOLERANCE: Final = 1e-5


@overload
def within_resolution(d_star_sq: Tensor, d_min: float | Tensor) -> Tensor: ...
@overload
def within_resolution(d_star_sq: NDArray[np.float64], d_min: float) -> NDArray[np.bool_]: ...
def within_resolution(
    d_star_sq: Tensor | NDArray[np.float64], d_min: Any
) -> Tensor | NDArray[np.bool_]:
    """Flags of the reflections with d >= `d_min`, F(000) excluded.

    Parameters
    ----------
    d_star_sq
        1/d^2, any shape, A^-2.
    d_min
        High-resolution limit, A; a tensor must broadcast with `d_star_sq`.
    """
    return (d_star_sq > 0) & (d_star_sq <= (1 + LIMIT_TOLERANCE) / d_min**2)


def resolution_shells(
    d_star_sq: NDArray[np.float64],
    *,
    per_shell: int,
    most: int,
    least: int = 1,
    used: NDArray[np.bool_] | None = None,
    n_shells: int | None = None,
) -> list[NDArray[np.int64]]:
    """Divide reflections into shells of equally many, from low to high resolution.

    Parameters
    ----------
    d_star_sq
        1/d^2 of each reflection, shape (n,), A^-2.
    per_shell
        Reflections in a shell, at least, within the limits on the number of shells.
    most, least
        Limits on the number of shells.
    used
        Reflections that count, shape (n,); by default all.
    n_shells
        Number of shells, instead of the one that follows from `per_shell`.

    Returns
    -------
    Rows of the reflections of each shell.
    """
    rows = np.arange(len(d_star_sq)) if used is None else np.flatnonzero(used)
    rows = rows[np.argsort(d_star_sq[rows], kind="stable")]
    if n_shells is None:
        n_shells = max(least, min(most, len(rows) // per_shell))
    return np.array_split(rows, n_shells)
