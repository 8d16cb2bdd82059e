"""Space groups that phases found in P1 support, ranked.

As in SHELXT (Sheldrick, Acta Cryst. A71, 3, 2015) the structure is solved in P1 without regard to
its symmetry, and the symmetry is read from the phases: every operator that the lattice allows
(with each screw or glide component) has an agreement of symmetry mates at its best place
(`SymmetryCorrelation`); a group needs all of its operators at a common origin. Amplitudes can only
contradict: by mates that differ, by systematic absences that are present, and by the distribution
of intensities of a structure without inversion centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import Operators, operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.regrouping import MATES_DIFFER, mates_r
from crysformer.crystal.symmetry import enantiomorph
from crysformer.phasing.origin.origin_search import EquivalentOrigins, search_origins
from crysformer.phasing.origin.space_group_candidates import (
    Key,
    OperatorClass,
    candidate_groups,
)
from crysformer.phasing.origin.symmetry_correlation import (
    MatePairs,
    StructureFactorLookup,
    SymmetryCorrelation,
)

_REFLECTIONS = 6_000  # of lowest resolution, in P1
# An operator is present from this agreement of mates, and from this fraction of the agreement of
# the best operator. Of an inversion more is demanded: crystals without one reach 0.65 at the best
# place, the heaviest atom or two molecules imitating it.
_PRESENT, _PRESENT_INVERSION, _OF_BEST = 0.5, 0.72, 0.75
# An inversion that the stated group lacks, with data that end below atomic resolution: tight cells
# of one dipeptide at 1.5 A reach 0.86.
_COARSE_INVERSION, _ATOMIC_D_MIN = 0.9, 1.25
# Mean intensity of absent reflections to that of all, and I / sigma, which contradict a group.
_ABSENT_INTENSITY, _ABSENT_SIGNIFICANCE = 0.1, 3.0
# Mean |E^2 - 1| below which amplitudes are those of a structure without inversion centre, for which
# 0.74 is expected, and 0.97 with one; and the fewest reflections to tell.
_ACENTRIC, _ENOUGH = 0.80, 200
_ROWS = 10
_SAME = 0.02  # agreements that differ by less rank groups of one order equally


@dataclass(frozen=True)
class SpaceGroupFigures:
    """A candidate space group and its figures.

    Attributes
    ----------
    name
        Full Hermann-Mauguin symbol, in the setting of the cell.
    enantiomorph
        The other member of an enantiomorphic pair, which amplitudes cannot tell from this one;
        empty for other groups.
    operators
        Number of operators, centring included.
    agreement
        Agreement of symmetry mates of the weakest operator at the group's origin, F^2-weighted
        mean cosine of their phase differences; of an inversion, which relates a phase to itself
        and so doubles its error, the square root. 1 in P1.
    r_sym
        sum |I - <I>| / sum I of the mates that the stated group does not relate; None where it
        relates all.
    absent
        Number of measured reflections that are absent in this group and not in the stated one.
    absent_intensity
        Their mean intensity, divided by that of all reflections at their resolution; None without.
    absent_i_over_sigma
        Their mean I / sigma(I); None without, or without uncertainties.
    mean_e_squared_minus_one
        Mean |E^2 - 1| of significant acentric reflections, where the group adds an inversion to
        the stated one: 0.74 is expected without an inversion centre, 0.97 with one; None for other
        groups, or of too few reflections.
    supported
        True if neither phases nor amplitudes contradict the group.
    stated
        True for the space group of the data.
    """

    name: str
    enantiomorph: str
    operators: int
    agreement: float
    r_sym: float | None
    absent: int
    absent_intensity: float | None
    absent_i_over_sigma: float | None
    mean_e_squared_minus_one: float | None
    supported: bool
    stated: bool

    @property
    def space_group(self) -> gemmi.SpaceGroup:
        """The group."""
        return gemmi.SpaceGroup(self.name)


def rank_space_groups(
    data: CrystalData,
    hkl: NDArray[np.int32],
    F: NDArray[np.complex128],
    chiral: bool = False,
) -> tuple[SpaceGroupFigures, ...]:
    """Rank the space groups of a structure solved in P1, the highest that is supported first.

    Parameters
    ----------
    data
        The measurements, merged in the stated space group; only amplitudes are used.
    hkl, F
        Structure factors of the solution, P1 list (either of each Friedel pair), any origin and
        hand, shapes (n, 3) and (n,); NaN counts as missing.
    chiral
        The crystal holds one hand of a chiral molecule: groups with inversions, mirrors or glides
        are left out, unless the stated one has them.

    Returns
    -------
    tuple of SpaceGroupFigures
        At most 10; groups that are not supported follow the others. The stated group is always
        among them, and before others of as many operators that agree as well.
    """
    candidates = candidate_groups(data.cell, data.space_group)
    if chiral and data.space_group.is_sohncke():
        candidates = [group for group in candidates if group.space_group.is_sohncke()]
    d = np.asarray(data.cell.calculate_d_array(np.ascontiguousarray(hkl, dtype=np.int32)))
    usable = np.isfinite(F) & hkl.any(axis=1)
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(-d[rows], kind="stable")][:_REFLECTIONS]
    factors = StructureFactorLookup(hkl[rows], F[rows])

    best: dict[Key, float] = {}
    for candidate in candidates:
        for operator in candidate.classes:
            if operator.key not in best:
                best[operator.key] = _at_best_place(factors, operator)
    sure = data.space_group.is_centrosymmetric() or data.d_min <= _ATOMIC_D_MIN
    inversion = _PRESENT_INVERSION if sure else _COARSE_INVERSION
    present = _Presence(max(best.values(), default=0.0), inversion)
    bounds = [_Agreement.of((best[c.key], c.is_inversion) for c in g.classes) for g in candidates]

    amplitudes = _AmplitudeFigures(data)
    stated = data.space_group.xhm()

    def promise(i: int) -> tuple[bool, bool, float, float]:
        group = candidates[i]
        likely = present(bounds[i]) and not amplitudes.contradict(group.space_group)
        size = float(group.order) if likely else 0.0
        return group.space_group.xhm() == stated, likely, size, bounds[i].weakest

    order = sorted(range(len(candidates)), key=promise, reverse=True)[:_ROWS]
    partner = enantiomorph(data.space_group)
    figures = []
    for i in order:
        group = candidates[i].space_group
        agreement = _at_common_origin(factors, group, data.cell)
        other = enantiomorph(group)
        names = [group.xhm(), "" if other is None else other.xhm()]
        if partner is not None and group.xhm() == partner.xhm() and present(agreement):
            names.reverse()  # the other hand of the phases has the stated group
        r_sym, absent, intensity, significance = amplitudes(group)
        figures.append(
            SpaceGroupFigures(
                name=names[0],
                enantiomorph=names[1],
                operators=candidates[i].order,
                agreement=agreement.weakest,
                r_sym=r_sym,
                absent=absent,
                absent_intensity=intensity,
                absent_i_over_sigma=significance,
                mean_e_squared_minus_one=amplitudes.mean_e_squared_minus_one(group),
                supported=present(agreement) and not amplitudes.contradict(group),
                stated=data.space_group_known and names[0] == stated,
            )
        )
    return _ranked(figures)


@dataclass(frozen=True)
class _Agreement:
    """Agreement of the weakest operator of a group, and of its inversion (1 without)."""

    weakest: float
    inversion: float

    @classmethod
    def of(cls, operators: Iterable[tuple[float, bool]]) -> _Agreement:
        """From the agreement of each operator and a flag of the inversion."""
        listed = list(operators)
        inversion = [agreement for agreement, is_inversion in listed if is_inversion]
        return cls(min((x for x, _ in listed), default=1.0), min(inversion, default=1.0))


class _Presence:
    """Test of the operators of a group against the best of all operators."""

    def __init__(self, best: float, inversion: float) -> None:
        self.threshold = max(_PRESENT, _OF_BEST * best)
        self.threshold_inversion = max(inversion, _OF_BEST * best)

    def __call__(self, agreement: _Agreement) -> bool:
        return (
            agreement.weakest >= self.threshold and agreement.inversion >= self.threshold_inversion
        )


def _ranked(figures: Sequence[SpaceGroupFigures]) -> tuple[SpaceGroupFigures, ...]:
    unique: dict[str, SpaceGroupFigures] = {}
    for row in sorted(figures, key=lambda row: -row.agreement):
        unique.setdefault(row.name, row)  # of an enantiomorphic pair the one that fits

    def rank(row: SpaceGroupFigures) -> tuple[bool, int, float]:
        tie = _SAME if row.stated else 0.0
        size = row.operators if row.supported else 0
        return row.supported, size, row.agreement + tie

    return tuple(sorted(unique.values(), key=rank, reverse=True))


def _at_best_place(factors: StructureFactorLookup, operator: OperatorClass) -> float:
    """Agreement of one operator at its best place in the cell, 0 to 1."""
    identity = np.eye(3, dtype=np.int64)
    ops = Operators(
        rotations=np.stack([identity, operator.rotation]),
        steps=np.stack([np.zeros(3, dtype=np.int64), operator.steps]),
        triplets=("x,y,z", ""),
        centring=np.zeros((1, 3), dtype=np.int64),
    )
    series = SymmetryCorrelation.build(MatePairs(factors, ops))
    if not len(series.m):
        return 0.0
    values = series.on_grid()
    top = np.unravel_index(values.argmax(), values.shape)
    agreement = series.at(series.refine(np.array(top) / values.shape))
    return _single_error(agreement, operator.is_inversion)


def _at_common_origin(
    factors: StructureFactorLookup, group: gemmi.SpaceGroup, cell: gemmi.UnitCell
) -> _Agreement:
    """Agreement of the operators of a group at its best origin."""
    ops = operators(group)
    if len(ops) == 1:
        return _Agreement(1.0, 1.0)
    pairs = MatePairs(factors, ops)
    series = SymmetryCorrelation.build(pairs)
    if not len(series.m):
        return _Agreement(0.0, 0.0)
    origin = series.refine(search_origins(series, EquivalentOrigins(group, cell))[0])
    agreements = []
    for i, rotation in enumerate(ops.rotations):
        agreement = pairs.agreement(i, origin) if i else math.nan
        if math.isfinite(agreement):
            inversion = bool((rotation == -np.eye(3)).all())
            agreements.append((_single_error(agreement, inversion), inversion))
    return _Agreement.of(agreements)


def _single_error(agreement: float, inversion: bool) -> float:
    agreement = max(agreement, 0.0)
    return math.sqrt(agreement) if inversion else agreement


class _AmplitudeFigures:
    """Equivalence of mates and systematic absences in the measured amplitudes."""

    def __init__(self, data: CrystalData) -> None:
        used = data.measured
        self.data = data.select(used)
        self.intensity = self.data.f**2
        sigma = self.data.sigf
        with np.errstate(divide="ignore", invalid="ignore"):
            # of F / sigma(F) = x, I / sigma(I) is x / 2
            self.significance = None if sigma is None else self.data.f / sigma / 2
        self.expected = _local_mean(self.intensity, self.data.d)
        self._acentric = self._mean_e_squared_minus_one()
        self._known: dict[str, tuple[float | None, int, float | None, float | None]] = {}

    def __call__(
        self, group: gemmi.SpaceGroup
    ) -> tuple[float | None, int, float | None, float | None]:
        """R of mates; number, mean intensity and mean I / sigma of absent reflections."""
        name = group.xhm()
        if name not in self._known:
            self._known[name] = (
                mates_r(self.data.hkl, self.intensity, group),
                *self._absences(group),
            )
        return self._known[name]

    def mean_e_squared_minus_one(self, group: gemmi.SpaceGroup) -> float | None:
        """Mean |E^2 - 1| of the data, if the group adds an inversion to the stated one."""
        adds = group.is_centrosymmetric() and not self.data.space_group.is_centrosymmetric()
        return self._acentric if adds else None

    def _mean_e_squared_minus_one(self) -> float | None:
        operations = self.data.space_group.operations()
        use = ~np.asarray(operations.centric_flag_array(self.data.hkl), dtype=bool)
        if self.significance is not None:
            finite = np.where(np.isfinite(self.significance), self.significance, 0.0)
            use &= _local_mean(finite, self.data.d) > _ABSENT_SIGNIFICANCE
        if use.sum() < _ENOUGH:
            return None
        return float(np.abs(self.intensity[use] / self.expected[use] - 1).mean())

    def contradict(self, group: gemmi.SpaceGroup) -> bool:
        """True if mates differ, or if reflections that should be absent are there."""
        r_sym, absent, intensity, significance = self(group)
        if r_sym is not None and r_sym > MATES_DIFFER:
            return True
        e_statistic = self.mean_e_squared_minus_one(group)
        if e_statistic is not None and e_statistic < _ACENTRIC:
            return True
        if not absent or intensity is None or intensity < _ABSENT_INTENSITY:
            return False
        return significance is None or significance > _ABSENT_SIGNIFICANCE

    def _absences(self, group: gemmi.SpaceGroup) -> tuple[int, float | None, float | None]:
        absent = np.asarray(group.operations().systematic_absences(self.data.hkl), dtype=bool)
        n = int(absent.sum())
        if not n:
            return 0, None, None
        intensity = float(self.intensity[absent].mean() / self.expected[absent].mean())
        if self.significance is None:
            return n, intensity, None
        known = absent & np.isfinite(self.significance)
        return n, intensity, float(self.significance[known].mean()) if known.any() else None


def _local_mean(intensity: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean intensity of the 200 reflections of nearest resolution, shape (n,)."""
    order = np.argsort(d)
    width = min(200, len(d))
    total = np.concatenate([[0.0], np.cumsum(intensity[order])])
    low = np.clip(np.arange(len(d)) - width // 2, 0, len(d) - width)
    mean = np.empty(len(d))
    mean[order] = (total[low + width] - total[low]) / width
    return mean
