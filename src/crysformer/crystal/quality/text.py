"""Lines of a data report for the log of a run, and warnings about its figures.

A warning needs an effect that is both large and beyond its uncertainty: few reflections give a
number, not an alarm. The limits are the usual ones of the field, and are stated in each rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crysformer.crystal.quality.moments import Moments
from crysformer.crystal.quality.translational_ncs import PattersonPeak
from crysformer.crystal.quality.wrong_kind import wrong_kind, wrong_kind_warning

if TYPE_CHECKING:
    from crysformer.crystal.quality.report import DataReport

# <|L|> below 0.44 is the usual sign of a twin (about a tenth of the volume in the other domain).
_TWIN_L, _PERFECT_L = 0.44, 0.375
_SIGMAS, _MANY_SIGMAS = 4.0, 5.0
_TNCS_HEIGHT = 0.2
_COMPLETE, _NEARLY_ALL = 0.8, 0.9
_FALL_OFF = 10.0  # ratio of intensities between directions at the resolution limit
_SAME = 0.7  # correlation of intensities that a missing operator relates
_CUT = 0.5  # F / sigma: weaker reflections show that the file was not cut at a sigma


def warnings_of(report: DataReport) -> tuple[str, ...]:
    """Write one sentence for each assumption that fails."""
    rules = (_incomplete, _outliers, _wilson, _anisotropic, _translational_ncs, _twinned, _centric)
    wrong = _wrong_kind(report)
    if wrong is not None:  # no statistic of the intensities means anything
        return wrong, *filter(None, (_incomplete(report), _translational_ncs(report)))
    return tuple(sentence for rule in rules if (sentence := rule(report)) is not None)


def _wrong_kind(report: DataReport) -> str | None:
    figures = wrong_kind(
        report.kind,
        report.acentric,
        report.centric,
        report.l_test,
        report.completeness.overall,
    )
    if figures is None:
        return None
    return wrong_kind_warning(report.kind, report.columns, report.data_set, figures)


def _incomplete(report: DataReport) -> str | None:
    found = report.completeness
    if found.overall < _COMPLETE:
        return (
            f"only {100 * found.overall:.0f} % of the reflections to {report.d_min:.2f} A are "
            "measured; what is missing has to be guessed"
        )
    lowest = found.shells[0]
    if lowest.completeness < _COMPLETE:
        return (
            f"only {100 * lowest.completeness:.0f} % of the reflections with d above "
            f"{lowest.d_min:.2f} A are measured; strong ones are among the missing"
        )
    return None


def _outliers(report: DataReport) -> str | None:
    return report.outliers.warning()


def _wilson(report: DataReport) -> str | None:
    low, high = report.wilson.usual_b
    b = report.wilson.b_iso
    if low <= b <= high:
        return None
    return (
        f"the Wilson plot gives a B of {b:.1f} A^2, outside {low:g} to {high:g}: too few "
        "reflections, weak ones left out, or scattering factors that do not apply (neutrons?)"
    )


def _anisotropic(report: DataReport) -> str | None:
    spread, error = report.anisotropy.spread, report.anisotropy.uncertainty
    ratio = float(np.exp(spread / (2 * report.d_min**2)))
    if spread < _MANY_SIGMAS * error or ratio < _FALL_OFF:
        return None
    return (
        f"strongly anisotropic: B differs by {spread:.0f} A^2 between directions, so that "
        f"intensities at {report.d_min:.2f} A differ {ratio:.0f}-fold; nothing corrects for it"
    )


def has_translational_ncs(report: DataReport) -> bool:
    """Test for a significant Patterson peak above the usual 20 % of the origin."""
    peak = report.patterson
    return (
        isinstance(peak, PattersonPeak)
        and peak.height > _TNCS_HEIGHT
        and peak.height > _MANY_SIGMAS * peak.error
    )


def _translational_ncs(report: DataReport) -> str | None:
    if not has_translational_ncs(report):
        return None
    assert isinstance(report.patterson, PattersonPeak)
    return (
        f"translational pseudo-symmetry: a Patterson peak of {100 * report.patterson.height:.0f} % "
        f"of the origin at {vector_text(report.patterson)}; moments of intensities and figures of "
        "merit mislead"
    )


def _twinned(report: DataReport) -> str | None:
    test, acentric = report.l_test, report.acentric
    law = report.twin_laws[0] if report.twin_laws else None
    same = law is not None and law.correlation - _SIGMAS / np.sqrt(law.pairs) > _SAME
    relation = ""
    if same and law is not None:
        relation = f" {law.operator} relates intensities with correlation {law.correlation:.2f}"
    low = (
        test is not None and test.mean_abs < _TWIN_L and test.mean_abs + _SIGMAS * test.error < 0.5
    )
    if test is None or acentric is None or not low:
        return f"the symmetry may be higher:{relation}" if relation else None
    # <I^2>/<I>^2 of a twin is 2 - 2 a (1 - a): at least half of that must show, except where
    # pseudo-translation raises the moments, which does not touch L
    lowered = test.twin_fraction * (1 - test.twin_fraction)
    agrees = acentric.second < 2 - lowered or has_translational_ncs(report)
    possible = test.mean_abs + _SIGMAS * test.error > _PERFECT_L
    if not same and (not agrees or not possible or _weak_left_out(report)):
        return (
            f"the L-test reads twinned (<|L|> {test.mean_abs:.3f}, second moment "
            f"{acentric.second:.2f}){_why(report)}; twinning cannot be judged"
        )
    return (
        f"twinned: <|L|> is {test.mean_abs:.3f} (untwinned 0.5, perfect twin 0.375), a twin "
        f"fraction of about {test.twin_fraction:.2f}{';' if relation else ''}{relation}; twins "
        "are not solved here"
    )


def _weak_left_out(report: DataReport) -> bool:
    """Test for weak reflections that may be missing, which makes data look twinned."""
    least = report.least_f_over_sigma
    return report.completeness.overall < _NEARLY_ALL and (least is None or least > _CUT)


def _why(report: DataReport) -> str:
    if _weak_left_out(report):
        return ", but so it does where weak reflections were left out, and some are missing"
    return ", but no twin has such figures"


def _centric(report: DataReport) -> str | None:
    """Test for acentric reflections distributed as if they were centric."""
    found = report.acentric
    if found is None or has_translational_ncs(report):
        return None
    if found.second - 3 * found.second_error < 2.3 or (
        found.deviation - 3 * found.deviation_error < 0.8
    ):
        return None
    return (
        f"acentric reflections look centric (<|E^2-1|> {found.deviation:.3f}, centric 0.968): the "
        "crystal may be centrosymmetric, or the space group another one"
    )


def vector_text(peak: PattersonPeak) -> str:
    """Position and length of the vector of a Patterson peak."""
    return "(" + ", ".join(f"{x:.2f}" for x in peak.vector) + f"), {peak.distance:.0f} A"


def summary_lines(report: DataReport) -> list[str]:
    """A few lines for the log of a run."""
    shells, wilson = report.completeness.shells, report.wilson
    lines = [
        source_line(report),
        f"data: {100 * report.completeness.overall:.1f} % complete to {report.d_min:.2f} A "
        f"({100 * shells[0].completeness:.0f} % in the lowest shell, "
        f"{100 * shells[-1].completeness:.0f} % in the highest); "
        f"Wilson B {wilson.b_iso:.1f} +- {wilson.b_error:.1f} A^2 from {wilson.d_max:.2f} to "
        f"{wilson.d_min:.2f} A; spread with direction {report.anisotropy.spread:.1f} A^2",
    ]
    figures = []
    if report.acentric is not None:
        figures.append(f"acentric {moments_text(report.acentric)}")
    if report.centric is not None:
        figures.append(f"centric {moments_text(report.centric)}")
    if report.l_test is not None:
        test = report.l_test
        figures.append(f"<|L|> {test.mean_abs:.3f} +- {test.error:.3f}")
    if figures:
        lines.append("intensities: " + "; ".join(figures))
    return lines + report.outliers.lines()


def source_line(report: DataReport) -> str:
    """Columns of the file that were used, and what else was read from it, in one line."""
    where = f" of {report.data_set}" if report.data_set else ""
    wave = "" if report.wavelength is None else f"; wavelength {report.wavelength:.5g} A"
    free = "no free flags" if report.free_set is None else f"free flags {report.free_set}"
    factors = "; scattering factors of electrons" if report.radiation == "electron" else ""
    columns = ", ".join(report.columns) or "none"
    return f"columns: {columns} ({report.kind}){where}; {free}{wave}{factors}"


def moments_text(found: Moments) -> str:
    """Both moments with their uncertainties."""
    return (
        f"<I^2>/<I>^2 {found.second:.2f} +- {found.second_error:.2f}, <|E^2-1|> "
        f"{found.deviation:.3f} +- {found.deviation_error:.3f}"
    )
