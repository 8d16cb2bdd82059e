"""Simulated measurements: amplitudes with errors, and missing reflections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import frac_matrix

Missing = Literal["random", "wedge"]

#: SIGF / F where no error is added, so that programs that weight by it have something sensible.
_NOMINAL_ERROR = 0.01
#: SIGF of weaker reflections is that of this fraction of the rms amplitude: no SIGF is zero.
_WEAK = 0.1


@dataclass(frozen=True)
class ErrorModel:
    """Quality of simulated amplitudes: their errors, and which reflections are missing.

    Attributes
    ----------
    amplitude_error
        x: amplitudes become F (1 + x N(0, 1)), not below zero. SIGF is x times the amplitude
        with its error, or times a tenth of their rms if that is more: it carries no information
        about the error-free amplitude. For x = 0 they are exact and SIGF is nominal (x = 1 %).
    completeness
        Fraction of the reflections that are measured.
    missing
        Kind of missing reflections: ``"random"``, or a ``"wedge"`` as single-axis electron
        diffraction leaves:
        a crystal tilted by up to +-t about an axis, on a flat Ewald sphere, shows the directions
        within t of the plane that is cut at zero tilt; the rest is a double wedge about the beam.
        Axis and beam are drawn at random; t follows from the completeness.

    Raises
    ------
    ValueError
        If `completeness` is not in (0, 1] or `amplitude_error` is negative.
    """

    amplitude_error: float = 0.0
    completeness: float = 1.0
    missing: Missing = "random"

    def __post_init__(self) -> None:
        if not 0 < self.completeness <= 1 or self.amplitude_error < 0:
            raise ValueError(
                f"completeness {self.completeness}, amplitude_error {self.amplitude_error}: "
                "expected a fraction in (0, 1] and an error >= 0"
            )


def measure(
    f_true: NDArray[np.float64],
    hkl: NDArray[np.int32],
    cell: gemmi.UnitCell,
    errors: ErrorModel,
    rng: np.random.Generator,
    group: gemmi.SpaceGroup | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Simulate the measurement of error-free amplitudes.

    Parameters
    ----------
    f_true
        Shape (n,).
    hkl
        Miller indices, shape (n, 3).
    cell
        Unit cell.
    errors
        Errors and missing reflections.
    rng
        Source of the errors, drawn first, and of the choice of missing reflections.
    group
        Space group whose symmetry mates are measured as well: a reflection is missing if all of
        its mates are in the wedge. By default P1.

    Returns
    -------
    f, sigf
        Shape (n,) each, NaN where not measured.
    """
    error = errors.amplitude_error
    f = np.maximum(f_true * (1 + error * rng.standard_normal(len(f_true))), 0.0)
    if errors.missing == "wedge" and errors.completeness < 1:
        order = np.argsort(tilt_angles(hkl, cell, rng, group), kind="stable")
    else:
        order = rng.permutation(len(f))
    f[order[round(errors.completeness * len(f)) :]] = np.nan
    floor = _WEAK * np.sqrt(np.nanmean(f**2))
    return f, (error or _NOMINAL_ERROR) * np.maximum(f, floor)


def tilt_angles(
    hkl: NDArray[np.int32],
    cell: gemmi.UnitCell,
    rng: np.random.Generator,
    group: gemmi.SpaceGroup | None = None,
) -> NDArray[np.float64]:
    """Smallest tilt, degrees, at which each reflection or a symmetry mate crosses the Ewald sphere.

    From 0 to 90, shape (n,); rotation axis and beam are random.
    """
    axis, other = np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    beam = np.cross(axis, other)
    rotations = np.eye(3, dtype=np.int64)[None] if group is None else operators(group).rotations
    s = (hkl @ rotations) @ frac_matrix(cell)
    tilt = np.degrees(np.arctan2(np.abs(s @ beam), np.abs(s @ other)))
    return np.asarray(tilt.min(axis=0))
