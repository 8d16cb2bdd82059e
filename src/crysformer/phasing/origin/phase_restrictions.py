"""Restrictions of single reflections by symmetry: centric phases and systematic absences."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import STEPS, operators


@dataclass(frozen=True, eq=False)
class PhaseRestrictions:
    """Restrictions of a list of reflections in one space group.

    Attributes
    ----------
    centric
        Whether some operator sends h to -h, so that only two phases are possible, shape (n,).
    allowed
        One of the two allowed phases in degrees, in [0, 180), shape (n,); the other is 180
        degrees on. NaN where the phase is free.
    absent
        Whether symmetry makes the amplitude zero, shape (n,).
    """

    centric: NDArray[np.bool_]
    allowed: NDArray[np.float64]
    absent: NDArray[np.bool_]


def phase_restrictions(hkl: NDArray[np.int32], space_group: gemmi.SpaceGroup) -> PhaseRestrictions:
    """Find centric reflections, their allowed phases, and systematic absences.

    An operator x' = R x + t gives F(h) = exp(2 pi i h.t) F(hR). Where hR = -h, Friedel's law
    makes this phi = pi h.t (mod pi).

    Parameters
    ----------
    hkl
        Miller indices, shape (n, 3).
    space_group
        Space group, in the setting of `hkl`; its origin fixes the allowed phases.
    """
    hkl = np.ascontiguousarray(hkl, dtype=np.int32)
    operations = space_group.operations()
    allowed = np.full(len(hkl), np.nan)
    ops = operators(space_group)
    for rotation, steps in zip(ops.rotations, ops.steps, strict=True):
        reversed_ = (hkl @ rotation == -hkl).all(axis=1) & np.isnan(allowed)
        # Whole 24ths of a cycle, so that 0 and 90 degrees come out exactly.
        cycles = hkl[reversed_].astype(np.int64) @ steps
        allowed[reversed_] = (cycles % STEPS) * (180.0 / STEPS)
    return PhaseRestrictions(
        centric=~np.isnan(allowed),
        allowed=allowed,
        absent=np.asarray(operations.systematic_absences(hkl), dtype=bool),
    )


def restrict_phases(
    phi: NDArray[np.float64], restrictions: PhaseRestrictions
) -> NDArray[np.float64]:
    """Move every centric phase to the nearer of its two allowed values.

    Parameters
    ----------
    phi
        Phases in degrees, shape (n,); NaN stays NaN.
    restrictions
        From `phase_restrictions` for the same reflections.

    Returns
    -------
    Phases in degrees, in [0, 360), shape (n,).
    """
    nearer = np.where(
        np.cos(np.deg2rad(phi - restrictions.allowed)) >= 0,
        restrictions.allowed,
        restrictions.allowed + 180.0,
    )
    restricted = np.where(restrictions.centric & np.isfinite(phi), nearer, phi)
    return np.asarray(np.mod(restricted, 360.0))
