"""From P1 phases back to the space group: find its origin, judge the fit, symmetrise.

A crystal is solved in P1 in its own cell, where origin and hand come out at random. What is
left is to find where in the cell the symmetry elements lie.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.phasing.centric import phase_restrictions, restrict_phases
from crysformer.phasing.operator_correlation import (
    MatePairs,
    OperatorCorrelation,
    StructureFactorBox,
)
from crysformer.phasing.permissible_origins import Operators, operators, permissible_origins

_IDENTITY = gemmi.Op.DEN * np.eye(3, dtype=np.int64)
_CANDIDATES = 6
_DISTINCT = 0.5  # A; nearer maxima are one peak seen on two grid points
_TERMS_TO_COMPARE = 20_000
_PEAKS_TO_SORT = 5_000


@dataclass(frozen=True, eq=False)
class SymmetryOrigin:
    """Where a space group's origin lies in a structure solved in P1, and how well it fits.

    Attributes
    ----------
    space_group
        The group searched for.
    shift
        Fractional position of the group's origin in the P1 structure, shape (3,): the structure
        obeys the operators after x - shift. Among equal origins the shortest shift; zero along
        polar directions.
    inverted
        The fit is to the other hand of the P1 phases: -phi, moved by `shift`.
    agreement
        F^2-weighted mean cosine of the phase differences between symmetry mates, at most 1. For
        independent phase errors it is about the square of their mean cosine (for the inversion
        alone, the mean cosine of twice the error). 1 in P1, where nothing can disagree.
    random_agreement
        The best agreement that the same search finds with the same amplitudes and random phases:
        what `agreement` has to stand clear of. 1 in P1.
    runner_up
        Agreement at the best origin that is not equivalent to `shift`; -1 where there is none.
    per_operator
        Agreement of each operator but the identity, keyed by triplet; NaN where the data hold no
        pair of different mates.
    alternatives
        All origins that fit equally because the operators cannot tell them apart, fractional,
        shape (k, 3), `shift` first.
    polar
        Directions along which the origin is free, shape (p, 3), whole-number fractional vectors.
    """

    space_group: gemmi.SpaceGroup
    shift: NDArray[np.float64]
    inverted: bool
    agreement: float
    random_agreement: float
    runner_up: float
    per_operator: dict[str, float]
    alternatives: NDArray[np.float64]
    polar: NDArray[np.int64]

    def other_hand(self) -> SymmetryOrigin:
        """The same fit for the inverted structure.

        It obeys the same group, or the other member of an enantiomorphic pair (P41 and P43).
        """
        group = self.space_group.operations()
        change = next(
            (op for op in group.sym_ops if (np.array(op.rot) == -_IDENTITY).all()),
            self.space_group.change_of_hand_op(),
        )
        group.change_basis_forward(change)
        partner = gemmi.find_spacegroup_by_ops(group)
        if partner.number == self.space_group.number:
            partner = self.space_group
        offset = np.array(change.tran) / change.DEN
        return replace(
            self,
            space_group=partner,
            inverted=not self.inverted,
            shift=-self.shift - offset,
            alternatives=-self.alternatives - offset,
            per_operator={
                (change * gemmi.Op(triplet) * change.inverse()).wrap().triplet(): value
                for triplet, value in self.per_operator.items()
            },
        )


def find_symmetry_origin(
    hkl: NDArray[np.int32],
    f: NDArray[np.float64],
    phi: NDArray[np.float64],
    space_group: gemmi.SpaceGroup,
    cell: gemmi.UnitCell,
) -> SymmetryOrigin:
    """Find the origin at which P1 phases obey a space group best.

    Parameters
    ----------
    hkl
        Miller indices of a P1 list (either of each Friedel pair), shape (n, 3).
    f
        Amplitudes, shape (n,); they are the weights. NaN counts as missing.
    phi
        Phases in degrees with any origin, shape (n,); NaN counts as missing.
    space_group
        The group to look for, in the setting of `hkl`.
    cell
        Unit cell.

    Raises
    ------
    InputError
        If the list holds no two different symmetry mates, so that nothing can be told.
    """
    ops = operators(space_group)
    permissible = permissible_origins(space_group)
    if len(ops.rotations) == 1:
        zero = np.zeros(3)
        return SymmetryOrigin(
            space_group, zero, False, 1.0, 1.0, -1.0, {}, zero[None], permissible.polar
        )
    factors = StructureFactorBox(hkl, _complex(f, phi))
    pairs = MatePairs(factors, ops)
    series = OperatorCorrelation.build(pairs)
    if len(series.m) == 0:
        raise InputError(
            f"{len(factors.hkl)} phased reflections hold no symmetry mates in {space_group.xhm()}; "
            "expand the data to P1 and phase all of them"
        )
    equal = _EqualOrigins(space_group, cell)
    candidates = _candidates(series, equal)
    best = equal.shortest(series.refine(candidates[0]))
    agreement = series.at(best)
    others = [series.at(x) for x in candidates[1:] if equal.distance(x[None], best)[0] > 0.2]
    per_operator = {ops.triplets[i]: pairs.agreement(i, best) for i in range(1, len(ops.rotations))}
    return SymmetryOrigin(
        space_group=space_group,
        shift=best,
        inverted=False,
        agreement=agreement,
        random_agreement=_random_agreement(factors, ops),
        runner_up=max(others, default=-1.0),
        per_operator=per_operator,
        alternatives=best + permissible.shifts,
        polar=permissible.polar,
    )


def enantiomorph_origins(
    hkl: NDArray[np.int32],
    f: NDArray[np.float64],
    phi: NDArray[np.float64],
    space_group: gemmi.SpaceGroup,
    cell: gemmi.UnitCell,
) -> tuple[SymmetryOrigin, ...]:
    """Every reading of P1 phases that amplitudes cannot tell apart.

    Amplitudes do not tell P41 from P43, nor a structure from its mirror image; but one set of
    phases fits one member of such a pair, and its other hand the other member.

    Returns
    -------
    tuple of SymmetryOrigin
        One reading for a group without an enantiomorphic partner. Otherwise two of equal
        agreement: `space_group` first, then its partner, each with the hand of the phases
        (`inverted`) that fits it.
    """
    origin = find_symmetry_origin(hkl, f, phi, space_group, cell)
    if not space_group.is_enantiomorphic():
        return (origin,)
    mirrored = find_symmetry_origin(hkl, f, -np.asarray(phi), space_group, cell)
    if mirrored.agreement > origin.agreement:
        origin = replace(mirrored, inverted=True)
    return origin, origin.other_hand()


@dataclass(frozen=True, eq=False)
class SymmetrisedPhases:
    """Phases of a crystal's own reflection list, obeying its space group.

    Attributes
    ----------
    phi
        Degrees, in [0, 360), shape (n,); exactly at an allowed value where centric, 0 where
        symmetry makes the reflection absent, NaN where no mate had a phase.
    fom
        |sum F| / sum |F| over the mates, shape (n,): 1 where they agree, or where there is only
        one; 0 for absent and missing reflections.
    """

    phi: NDArray[np.float64]
    fom: NDArray[np.float64]


def to_space_group(
    data: CrystalData,
    hkl: NDArray[np.int32],
    f: NDArray[np.float64],
    phi: NDArray[np.float64],
    origin: SymmetryOrigin,
) -> SymmetrisedPhases:
    """Average P1 phases over symmetry mates, at the origin found, for `data.hkl`.

    Parameters
    ----------
    data
        The crystal in its own space group.
    hkl, f, phi
        The P1 list: shapes (n, 3), (n,), (n,), phases in degrees, as they came (neither moved
        nor inverted).
    origin
        From `find_symmetry_origin` for the same list, or one of `enantiomorph_origins`; its
        space group, setting and hand are the result's.
    """
    ops = operators(origin.space_group)
    factors = StructureFactorBox(hkl, _complex(f, -phi if origin.inverted else phi))
    rows = data.hkl.astype(np.int64)
    total = np.zeros(len(rows), dtype=np.complex128)
    weight = np.zeros(len(rows))
    for rotation, translation in zip(ops.rotations, ops.translations, strict=True):
        mates = rows @ rotation
        turns = (rows @ translation) / gemmi.Op.DEN - mates @ origin.shift
        value = factors(mates)
        total += value * np.exp(2j * np.pi * turns)
        weight += np.abs(value)
    restrictions = phase_restrictions(data.hkl, origin.space_group)
    phased = weight > 0
    phi_out = restrict_phases(np.rad2deg(np.angle(total)), restrictions)
    phi_out = np.where(restrictions.absent, 0.0, np.where(phased, phi_out, np.nan))
    fom = np.abs(total) / np.where(phased, weight, 1.0)
    return SymmetrisedPhases(phi=phi_out, fom=np.where(restrictions.absent, 0.0, fom))


def _complex(f: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(f * np.exp(1j * np.deg2rad(phi)), dtype=np.complex128)


def _random_agreement(factors: StructureFactorBox, ops: Operators) -> float:
    # One draw, the same each time: a reference, so that no result depends on it.
    phases = np.random.default_rng(0).random(len(factors.F))
    random = StructureFactorBox(factors.hkl, np.abs(factors.F) * np.exp(2j * np.pi * phases))
    series = OperatorCorrelation.build(MatePairs(random, ops))
    values = series.on_grid()
    top = np.unravel_index(values.argmax(), values.shape)
    return series.at(series.refine(np.array(top) / values.shape))


class _EqualOrigins:
    """Distances between origins that do not count moving to an equivalent one."""

    def __init__(self, space_group: gemmi.SpaceGroup, cell: gemmi.UnitCell) -> None:
        ops = operators(space_group)
        across_polar = np.eye(3) - ops.polar_projector
        self._across = across_polar
        self._orth = np.array(cell.orth.mat.tolist())
        moves = np.array(
            [
                shift + centring + step
                for shift in permissible_origins(space_group).shifts
                for centring in ops.centring / gemmi.Op.DEN
                for step in itertools.product((-1, 0, 1), repeat=3)
            ]
        )
        self._moves = moves @ across_polar.T

    def _images(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((x - np.round(x)) @ self._across.T)[..., None, :] + self._moves

    def distance(self, x: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance in A of origins `x`, fractional (n, 3), from the nearest equal of `origin`."""
        return np.asarray(
            np.linalg.norm(self._images(x - origin) @ self._orth.T, axis=-1).min(axis=-1)
        )

    def shortest(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The equal of the origin `x`, fractional (3,), that is nearest to (0, 0, 0)."""
        images = self._images(x)
        return np.asarray(images[np.linalg.norm(images @ self._orth.T, axis=-1).argmin()])


def _candidates(series: OperatorCorrelation, equal: _EqualOrigins) -> list[NDArray[np.float64]]:
    """Distinct high maxima of the series, refined with its strongest terms, best first."""
    values = series.on_grid()
    shape = np.array(values.shape)
    n = min(_PEAKS_TO_SORT, values.size)
    top = np.argpartition(values.ravel(), -n)[-n:]
    points = np.stack(np.unravel_index(top, values.shape), axis=1)
    height = values.ravel()[top]
    is_peak = np.ones(n, dtype=bool)
    for step in itertools.product((-1, 0, 1), repeat=3):
        is_peak &= height >= values[tuple(((points + step) % shape).T)] - 1e-12
    order = np.argsort(-height[is_peak], kind="stable")
    peaks = points[is_peak][order] / shape
    strong = series.strongest(_TERMS_TO_COMPARE)
    chosen: list[NDArray[np.float64]] = []
    while len(peaks) and len(chosen) < _CANDIDATES:
        chosen.append(peaks[0])
        peaks = peaks[equal.distance(peaks, peaks[0]) > _DISTINCT]
    refined = [strong.refine(x) for x in chosen]
    return sorted(refined, key=series.at, reverse=True)
