"""Report on a crystal's data before phasing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.cell_composition import (
    cell_composition,
    check_fits,
    check_formula_fits,
    estimate_copies,
    estimate_formula_copies,
)
from crysformer.crystal.matthews import SolventContent, formula_content, solvent_content
from crysformer.crystal.molecular_formula import formula_of
from crysformer.crystal.normalisation import WilsonFit, wilson_b
from crysformer.crystal.possible_reflections import estimate_possible
from crysformer.crystal.quality.anisotropy import Anisotropy, fit_anisotropy
from crysformer.crystal.quality.completeness import Completeness, completeness
from crysformer.crystal.quality.full_text import full_text
from crysformer.crystal.quality.moments import Moments, moments
from crysformer.crystal.quality.outliers import Outliers, wilson_outliers, without_outliers
from crysformer.crystal.quality.resolution_limits import (
    STRONG,
    AxisLimit,
    directional_limits,
    signal_limit,
)
from crysformer.crystal.quality.text import summary_lines, warnings_of
from crysformer.crystal.quality.translational_ncs import PattersonPeak, patterson_peak
from crysformer.crystal.quality.twin_laws import TwinLaw, twin_laws
from crysformer.crystal.quality.twinning import LTest, l_test
from crysformer.crystal.reflections import CrystalData, Kind
from crysformer.errors import InputError
from crysformer.inline_html import card
from crysformer.memory import check_memory
from crysformer.peptide.sequence_file import sequences_of
from crysformer.wording import counted

_MIN_REFLECTIONS = 30
#: Memory of a report to the possible unique reflections, bytes: 1,100 were measured.
_BYTES = 1200


@dataclass(frozen=True, eq=False, repr=False)
class DataReport:
    """Figures of a crystal's data before phasing.

    Attributes
    ----------
    source
        The file.
    space_group
        Its full Hermann-Mauguin symbol; None where the file gives only the reflections, and so the
        Laue class.
    laue_class
        Symbol of the Laue class in which the data are merged.
    cell
        Unit cell, A and degrees.
    columns, kind, data_set
        Labels of the columns used, what they hold, and where they stand in the file.
    free_set
        Label of the free flags, None without.
    radiation
        Whose scattering factors apply: "xray" or "electron".
    wavelength
        As the file gives it, A, or None.
    doubts
        What reading found to be wrong or doubtful, one sentence each.
    outliers
        Reflections too strong for Wilson's distribution; no statistic counts them.
    d_max, d_min
        Resolution limits of the measured reflections, A.
    completeness
        Of the unique set of the space group.
    wilson
        Scale and mean B, estimated from the data. The scale is absolute only with a sequence or a
        composition.
    anisotropy
        Anisotropy, and the normalised intensities that the statistics are of.
    principal_b
        B along the three axes of `anisotropy`, A^2.
    axis_limits
        Resolution of signal and data around those axes; None without uncertainties.
    strong_d_min
        Statistics of intensities use reflections to this limit, A, where the mean I / sigma of a
        shell falls below 3; None where nothing is strong enough.
    acentric, centric
        Moments of the intensities; None where there are too few.
    centric_fraction
        Fraction of centric reflections among the measured.
    least_f_over_sigma
        The weakest measurement, None without uncertainties.
    l_test
        None where there are too few pairs.
    patterson
        The largest far peak, or the reason why there is none.
    twin_laws
        Operators that the lattice allows and the space group lacks.
    packing
        None without sequences or composition.
    """

    source: str
    space_group: str | None
    laue_class: str
    cell: tuple[float, ...]
    columns: tuple[str, ...]
    kind: Kind
    data_set: str
    free_set: str | None
    radiation: str
    wavelength: float | None
    doubts: tuple[str, ...]
    outliers: Outliers
    d_max: float
    d_min: float
    completeness: Completeness
    wilson: WilsonFit
    anisotropy: Anisotropy
    principal_b: tuple[float, ...]
    axis_limits: tuple[AxisLimit | None, ...]
    strong_d_min: float | None
    acentric: Moments | None
    centric: Moments | None
    centric_fraction: float
    least_f_over_sigma: float | None
    l_test: LTest | None
    patterson: PattersonPeak | str
    twin_laws: tuple[TwinLaw, ...]
    packing: SolventContent | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Assumptions of the methods that fail, one sentence each."""
        return (*self.doubts, *warnings_of(self))

    def __repr__(self) -> str:
        doubts = counted(len(self.warnings), "warning")
        return f"<DataReport of {self.source}: {self.d_max:.2f} to {self.d_min:.2f} Å, {doubts}>"

    def _repr_html_(self) -> str:
        lines = (line.partition(": ") for line in self.lines())
        rows = {name: text for name, _, text in lines}
        return card(f"Data of {self.source}", rows, warning="; ".join(self.warnings))

    def lines(self) -> list[str]:
        """The report in a few lines, without the warnings."""
        return summary_lines(self)

    def text(self) -> str:
        """The full report for a person, with the warnings."""
        return full_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Report as numbers, strings and lists; None where not applicable."""
        shells = [
            {**_plain(asdict(shell)), "completeness": round(shell.completeness, 4)}
            for shell in self.completeness.shells
        ]
        peak = self.patterson
        return {
            "laue_class": self.laue_class,
            "cell": _plain(list(self.cell)),
            "columns": list(self.columns),
            "kind": self.kind,
            "data_set": self.data_set or None,
            "free_set": self.free_set,
            "wavelength": _plain(self.wavelength),
            "radiation": self.radiation,
            "n_reflections": self.completeness.measured,
            "reflections": self.completeness.measured,
            "d_max": round(self.d_max, 3),
            "d_min": round(self.d_min, 3),
            "completeness": {
                "overall": round(self.completeness.overall, 4),
                "possible": self.completeness.possible,
                "shells": shells,
            },
            "wilson": _plain(asdict(self.wilson)),
            "anisotropy": {
                "principal_b": _plain(list(self.principal_b)),
                "axes": _plain(self.anisotropy.axes.tolist()),
                "spread": _plain(self.anisotropy.spread),
                "uncertainty": _plain(self.anisotropy.uncertainty),
                "limits": _plain([None if x is None else x.signal for x in self.axis_limits]),
            },
            "outliers": [
                {"hkl": hkl, "d": _plain(d), "e": _plain(e), "probability": _plain(p)}
                for hkl, d, e, p in zip(
                    self.outliers.hkl.tolist(),
                    self.outliers.d.tolist(),
                    self.outliers.e.tolist(),
                    self.outliers.probability.tolist(),
                    strict=True,
                )
            ],
            "statistics_d_min": _plain(self.strong_d_min),
            "acentric": None if self.acentric is None else _plain(asdict(self.acentric)),
            "centric": None if self.centric is None else _plain(asdict(self.centric)),
            "centric_share": _plain(self.centric_fraction),
            "least_f_over_sigma": _plain(self.least_f_over_sigma),
            "l_test": None if self.l_test is None else _plain(asdict(self.l_test)),
            "patterson_peak": None if isinstance(peak, str) else _plain(asdict(peak)),
            "patterson_not_applicable": peak if isinstance(peak, str) else None,
            "twin_laws": [_plain(asdict(law)) for law in self.twin_laws],
            "packing": None if self.packing is None else _plain(asdict(self.packing)),
            "warnings": list(self.warnings),
            "text": self.lines(),
        }


def data_report(
    data: CrystalData,
    sequence: str | Sequence[str] | None = None,
    copies: int | None = None,
    composition: str | Mapping[str, int] | None = None,
) -> DataReport:
    """Report on a crystal's data before phasing.

    Parameters
    ----------
    data
        The crystal.
    sequence
        As for `crysformer.solve`; gives the Matthews coefficient and the scale of the Wilson plot.
    copies
        Copies of all chains, or of the formula, in the asymmetric unit; by default estimated.
    composition
        Molecular formula in place of a sequence, as for `crysformer.solve`.

    Returns
    -------
    DataReport
        Figures of the data, and warnings where assumptions of the methods fail.

    Raises
    ------
    InputError
        If there are fewer than 30 amplitudes above zero, or the sequence cannot be read, or it or
        the composition does not fit.
    UsageError
        If copies are not positive, or the composition cannot be read.
    """
    n_positive = int((data.f[data.measured] > 0).sum())
    if n_positive < _MIN_REFLECTIONS:
        raise InputError(
            f"{data.source}: {counted(n_positive, 'amplitude')} above zero, too few for "
            "statistics; expected "
            f"at least {_MIN_REFLECTIONS}"
        )
    possible = estimate_possible(data.cell, data.space_group, data.d_min)
    check_memory(
        _BYTES * possible,
        f"{data.source}: a report on {possible:.3g} possible reflections",
        "cut the resolution of the data",
    )
    chains = sequences_of(sequence)
    formula = formula_of(composition)
    cell, group, packed = data.cell, data.space_group, None
    if chains:
        if copies is None:
            copies = estimate_copies(cell, group, chains).copies
        check_fits(cell, group, chains, copies)
        packed = solvent_content(cell, group, chains, copies)
    elif formula:
        if copies is None:
            copies = estimate_formula_copies(cell, group, formula).copies
        check_formula_fits(cell, group, formula, copies)
        packed = formula_content(cell, group, formula, copies)
    everything = data
    outliers = wilson_outliers(data)
    data = without_outliers(data, outliers)
    anisotropy = fit_anisotropy(everything, outliers.flags(len(data)))
    wilson = _wilson(data, chains, formula, packed)
    strong = signal_limit(data, data.measured, STRONG)
    if data.sigf is None:
        strong = data.d_min
    use = data.measured & (data.d >= (np.inf if strong is None else strong))
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    e_squared = anisotropy.e_squared
    return DataReport(
        source=data.source,
        space_group=data.space_group.xhm() if data.space_group_known else None,
        laue_class=data.space_group.laue_str(),
        cell=data.cell.parameters,
        columns=data.labels,
        kind=data.kind,
        data_set=data.data_set,
        free_set=data.free_label or None,
        radiation=data.radiation,
        wavelength=data.wavelength,
        doubts=data.warnings,
        outliers=outliers,
        d_max=everything.d_max,
        d_min=everything.d_min,
        completeness=completeness(everything),
        wilson=wilson,
        anisotropy=anisotropy,
        principal_b=tuple((wilson.b_iso + anisotropy.deviations).tolist()),
        axis_limits=tuple(directional_limits(data, anisotropy.axes)),
        strong_d_min=strong if strong is not None and np.isfinite(strong) else None,
        acentric=moments(e_squared[use & ~centric]),
        centric=moments(e_squared[use & centric]),
        centric_fraction=float(centric[data.measured].mean()),
        least_f_over_sigma=_least(data),
        l_test=l_test(data, e_squared, use),
        patterson=patterson_peak(data),
        twin_laws=twin_laws(data, e_squared, use),
        packing=packed,
    )


def _wilson(
    data: CrystalData,
    chains: tuple[str, ...],
    formula: Mapping[str, int] | None,
    packed: SolventContent | None,
) -> WilsonFit:
    if packed is None:
        return wilson_b(data)
    if not formula:
        return wilson_b(data, cell_composition(data.space_group, chains, packed.copies))
    images = packed.copies * len(data.space_group.operations())
    return wilson_b(data, {element: images * count for element, count in formula.items()})


def _least(data: CrystalData) -> float | None:
    if data.sigf is None:
        return None
    there = data.measured & (data.sigf > 0)
    ratio: NDArray[np.float64] = data.f[there] / data.sigf[there]
    return float(ratio.min()) if there.any() else None


def _plain(value: Any) -> Any:
    """Round a value for JSON; not finite becomes None."""
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value
