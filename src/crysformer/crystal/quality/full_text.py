"""The data report of one crystal for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crysformer.crystal.quality.resolution_limits import AxisLimit
from crysformer.crystal.quality.text import moments_text, vector_text
from crysformer.wording import counted

if TYPE_CHECKING:
    from crysformer.crystal.quality.report import DataReport


def full_text(report: DataReport) -> str:
    """The whole report."""
    wilson, anisotropy = report.wilson, report.anisotropy
    lines = [report.source, *_measured(report), "", *_shells(report)]
    lines += [
        "",
        f"Wilson B {wilson.b_iso:.1f} +- {wilson.b_error:.1f} A^2, scale {wilson.scale:.4g}"
        f"{'' if report.packing else ' (relative: contents unknown)'}, from {wilson.d_max:.2f} to "
        f"{wilson.d_min:.2f} A",
        f"anisotropy: B differs by {anisotropy.spread:.1f} +- {anisotropy.uncertainty:.1f} A^2 "
        "between directions (Cartesian axes: x along a, z along c*)",
    ]
    for b, axis, limit in zip(report.principal_b, anisotropy.axes, report.axis_limits, strict=True):
        direction = ", ".join(f"{x:5.2f}" for x in axis)
        lines.append(f"  B {b:5.1f} A^2 along ({direction}){_reach(limit)}")
    lines += ["", *_statistics(report), *report.outliers.lines(), "", *_symmetry(report)]
    if report.packing is not None:
        packed = report.packing
        lines += [
            "",
            f"contents: {packed.copies} in the asymmetric unit, Matthews coefficient "
            f"{packed.matthews:.2f} A^3/Da, {100 * packed.solvent:.0f} % solvent, "
            f"{packed.volume_per_atom:.1f} A^3 for each atom",
        ]
    warnings = report.warnings
    lines += ["", *(f"warning: {sentence}" for sentence in warnings)] if warnings else []
    return "\n".join(lines)


def _measured(report: DataReport) -> list[str]:
    """The crystal and the file: cell, space group, columns, wavelength, free set, resolution."""
    group = report.space_group or f"not given, Laue class {report.laue_class}"
    where = f" of {report.data_set}" if report.data_set else ""
    scattering = "electrons" if report.radiation == "electron" else "X-rays"
    wave = "not given" if report.wavelength is None else f"{report.wavelength:.5g} A"
    found = report.completeness
    facts = {
        "cell": " ".join(f"{x:g}" for x in report.cell) + " (A, degrees)",
        "space group": group,
        "columns": f"{', '.join(report.columns) or 'none'} ({report.kind}){where}",
        "wavelength": f"{wave} ({scattering})",
        "free set": report.free_set or "none",
        "resolution": f"{report.d_max:.2f} to {report.d_min:.2f} A",
        "reflections": f"{counted(found.measured, 'amplitude')} of {found.possible} unique "
        f"({100 * found.overall:.1f} % complete)",
    }
    width = max(map(len, facts))
    return [f"{name:<{width}}  {fact}" for name, fact in facts.items()]


def _shells(report: DataReport) -> list[str]:
    """I/sigma and completeness in resolution shells."""
    lines = [f"{'shell (A)':>16}  {'I/sigma':>7}  complete"]
    for shell in report.completeness.shells:
        ratio = "-" if shell.i_over_sigma is None else f"{shell.i_over_sigma:.1f}"
        lines.append(
            f"{shell.d_max:7.2f} - {shell.d_min:6.2f}  {ratio:>7}  "
            f"{100 * shell.completeness:5.1f} %  ({shell.measured} of {shell.possible})"
        )
    return lines


def _reach(limit: AxisLimit | None) -> str:
    """How far the signal reaches along an axis, and the data, which may end before it does."""
    if limit is None:
        return ""
    if limit.signal <= limit.measured:
        return f", I/sigma above 2 to the end of the data at {limit.measured:.2f} A"
    if not np.isfinite(limit.signal):
        return ", I/sigma below 2 from the first shell on"
    return f", I/sigma 2 at {limit.signal:.2f} A, data to {limit.measured:.2f} A"


def _statistics(report: DataReport) -> list[str]:
    if report.strong_d_min is None:
        return ["statistics of intensities: none, no shell has a mean I/sigma of 3"]
    lines = [f"statistics of intensities (to {report.strong_d_min:.2f} A)"]
    if report.acentric is not None:
        lines.append(f"  acentric ({report.acentric.n}): {moments_text(report.acentric)}")
        lines.append("    untwinned 2, 0.736; perfect twin 1.5, 0.541")
    if report.centric is not None:
        lines.append(f"  centric ({report.centric.n}): {moments_text(report.centric)}")
        lines.append("    untwinned 3, 0.968; perfect twin 2, 0.736")
    test = report.l_test
    if test is None:
        lines.append("  L-test: too few pairs of acentric reflections")
    else:
        lines.append(
            f"  L-test: <|L|> {test.mean_abs:.3f} +- {test.error:.3f}, <L^2> "
            f"{test.mean_square:.3f} ({counted(test.pairs, 'pair')})"
        )
        lines.append("    untwinned 0.5, 0.333; perfect twin 0.375, 0.2")
    lines.append(f"  {100 * report.centric_fraction:.0f} % of the reflections are centric")
    return lines


def _symmetry(report: DataReport) -> list[str]:
    peak = report.patterson
    if isinstance(peak, str):
        lines = [f"pseudo-translation: not applicable ({peak})"]
    else:
        lines = [
            f"pseudo-translation: largest far Patterson peak {100 * peak.height:.0f} % of the "
            f"origin (chance: {100 * peak.error:.0f} %) at {vector_text(peak)}"
        ]
    for law in report.twin_laws[:3]:
        lines.append(
            f"operator {law.operator}, possible for this lattice: intensities correlate "
            f"{law.correlation:.2f} ({counted(law.pairs, 'pair')})"
        )
    return lines
