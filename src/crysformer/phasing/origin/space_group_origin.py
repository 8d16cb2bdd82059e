"""Origin of a space group in a structure solved in P1, its agreement, and symmetry averaging.

A crystal is solved in P1 in its own cell, where origin and hand come out at random. The symmetry
elements have to be located in the cell afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import STEPS, Operators, integer_rotation, operators
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.phasing.origin.origin_search import EquivalentOrigins, search_origins
from crysformer.phasing.origin.permissible_origins import permissible_origins
from crysformer.phasing.origin.phase_restrictions import phase_restrictions, restrict_phases
from crysformer.phasing.origin.symmetry_correlation import (
    MatePairs,
    StructureFactorLookup,
    SymmetryCorrelation,
)

_REFLECTIONS = 50_000


@dataclass(frozen=True, eq=False)
class SymmetryOrigin:
    """Origin of a space group in a structure solved in P1, and its agreement.

    Attributes
    ----------
    space_group
        The group searched for.
    shift
        Fractional position of the group's origin in the P1 structure, shape (3,): the structure
        has the symmetry after x - shift. Of equivalent origins the shortest shift; zero along
        polar directions.
    inverted
        The fit is to the other hand of the P1 phases: -phi, moved by `shift`.
    agreement
        F^2-weighted mean cosine of the phase differences between symmetry mates, at most 1. For
        independent phase errors it is about the square of their mean cosine (for the inversion
        alone, the mean cosine of twice the error). 1 in P1, where nothing can disagree.
    random_agreement
        Best agreement that the same search finds with the same amplitudes and random phases, for
        comparison with `agreement`. 1 in P1.
    runner_up
        Agreement at the best origin that is not equivalent to `shift`; -1 where there is none.
    per_operator
        Agreement of each operator but the identity, keyed by triplet; NaN where the data hold no
        pair of different mates.
    alternatives
        All origins that agree equally well because the operators do not distinguish them,
        fractional, shape (k, 3), `shift` first.
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
        """The same origin for the inverted structure.

        Its group is the same one, or the other member of an enantiomorphic pair (P41 and P43).
        """
        group = self.space_group.operations()
        change = next(
            (op for op in group.sym_ops if (integer_rotation(op) == -np.eye(3)).all()),
            self.space_group.change_of_hand_op(),
        )
        group.change_basis_forward(change)
        partner = gemmi.find_spacegroup_by_ops(group)
        if partner.number == self.space_group.number:
            partner = self.space_group
        offset = np.array(change.tran) / STEPS
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
    """Find the origin at which P1 phases are most consistent with a space group.

    Of a larger list the 50,000 reflections of lowest resolution are used.

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
        If the list holds no two different symmetry mates, so that no origin can be found.
    """
    ops = operators(space_group)
    permissible = permissible_origins(space_group)
    if len(ops.rotations) == 1:
        zero = np.zeros(3)
        return SymmetryOrigin(
            space_group, zero, False, 1.0, 1.0, -1.0, {}, zero[None], permissible.polar
        )
    factors = _lowest_resolution(StructureFactorLookup(hkl, _complex(f, phi)), cell)
    pairs = MatePairs(factors, ops)
    series = SymmetryCorrelation.build(pairs)
    if len(series.m) == 0:
        raise InputError(
            f"{len(factors.hkl)} phased reflections hold no symmetry mates in {space_group.xhm()}; "
            "expand the data to P1 and phase all of them"
        )
    equivalent = EquivalentOrigins(space_group, cell)
    candidates = search_origins(series, equivalent)
    best = equivalent.shortest(series.refine(candidates[0]))
    agreement = series.at(best)
    others = [series.at(x) for x in candidates[1:] if equivalent.distance(x[None], best)[0] > 0.2]
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
    """Origins of P1 phases in the groups and hands that amplitudes do not distinguish.

    Amplitudes distinguish neither P41 from P43, nor a structure from its mirror image; but one set
    of phases fits one member of such a pair, and its other hand the other member.

    Returns
    -------
    tuple of SymmetryOrigin
        One for a group without an enantiomorphic partner. Otherwise two of equal
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
    """Phases of a crystal's own reflection list, consistent with its space group.

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
    factors = StructureFactorLookup(hkl, _complex(f, -phi if origin.inverted else phi))
    rows = data.hkl.astype(np.int64)
    total = np.zeros(len(rows), dtype=np.complex128)
    weight = np.zeros(len(rows))
    for rotation, steps in zip(ops.rotations, ops.steps, strict=True):
        mates = rows @ rotation
        cycles = (rows @ steps) / STEPS - mates @ origin.shift
        value = factors(mates)
        total += value * np.exp(2j * np.pi * cycles)
        weight += np.abs(value)
    restrictions = phase_restrictions(data.hkl, origin.space_group)
    phased = weight > 0
    phi_out = restrict_phases(np.rad2deg(np.angle(total)), restrictions)
    phi_out = np.where(restrictions.absent, 0.0, np.where(phased, phi_out, np.nan))
    fom = np.abs(total) / np.where(phased, weight, 1.0)
    return SymmetrisedPhases(phi=phi_out, fom=np.where(restrictions.absent, 0.0, fom))


def _complex(f: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.complex128]:
    # a reflection measured as zero keeps its phase
    tiny = 1e-6 * np.nanmax(f, initial=0.0)
    return np.asarray(np.maximum(f, tiny) * np.exp(1j * np.deg2rad(phi)), dtype=np.complex128)


def _lowest_resolution(
    factors: StructureFactorLookup, cell: gemmi.UnitCell
) -> StructureFactorLookup:
    if len(factors.hkl) <= _REFLECTIONS:
        return factors
    d = cell.calculate_d_array(factors.hkl.astype(np.int32))
    keep = d >= np.partition(d, -_REFLECTIONS)[-_REFLECTIONS]
    return StructureFactorLookup(factors.hkl[keep], factors.F[keep])


def _random_agreement(factors: StructureFactorLookup, ops: Operators) -> float:
    # a fixed seed: the reference must not change between calls, nor use the random numbers of a run
    phases = np.random.default_rng(0).random(len(factors.F))
    random = StructureFactorLookup(factors.hkl, np.abs(factors.F) * np.exp(2j * np.pi * phases))
    series = SymmetryCorrelation.build(MatePairs(random, ops))
    values = series.on_grid()
    top = np.unravel_index(values.argmax(), values.shape)
    return series.at(series.refine(np.array(top) / values.shape))
