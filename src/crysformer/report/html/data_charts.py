"""Charts of the quality of the data."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from crysformer.crystal.normalisation import epsilon_factors
from crysformer.crystal.quality.report import DataReport
from crysformer.crystal.quality.twinning import neighbours
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells
from crysformer.report.html.charts import Series, chart

_PER_SHELL, _MAX_SHELLS = 20, 15
#: Points of a cumulative distribution.
_STEPS = 41


def data_charts(data: CrystalData, report: DataReport) -> list[tuple[str, str, str]]:
    """Draw what the data look like.

    Returns
    -------
    list of (title, svg, text)
        Each chart with what to look for in it; charts without points are left out.
    """
    charts = [
        (
            "Completeness",
            _completeness(report),
            "Measured out of possible reflections. Gaps at low resolution harm phasing most.",
        ),
        (
            "Signal to noise",
            _signal(data),
            "Mean I/sigma. Shells below 1 to 2 carry little information.",
        ),
        (
            "Wilson plot",
            _wilson(data),
            "Mean intensity against resolution. It falls in a straight line beyond 3 A; a bump "
            "or a rise at the end is a fault of the data.",
        ),
        (
            "Intensity distribution",
            _intensities(data, report),
            "Fraction of reflections weaker than z times the mean. A curve that starts below its "
            "expectation means twinning, one above it pseudo-translation.",
        ),
        (
            "L-test for twinning",
            _l_test(data, report),
            "Untwinned data follow the diagonal, a perfect twin the upper curve.",
        ),
        (
            "Anisotropy",
            _anisotropy(report),
            "Fall-off along the three principal axes. A spread of more than 20 A^2 is strong.",
        ),
    ]
    return [entry for entry in charts if entry[1]]


def _resolution(x: float) -> str:
    return f"{1 / math.sqrt(x):.2f}" if x > 1e-9 else ""


def _completeness(report: DataReport) -> str:
    shells = report.completeness.shells
    x = [0.5 * (s.d_max**-2 + s.d_min**-2) for s in shells]
    y = [100 * s.completeness for s in shells]
    curve = Series("completeness", x, y)
    return chart(
        "Completeness against resolution", [curve], "resolution / A", "measured / %",
        x_text=_resolution, y_range=(0, 100),
    )  # fmt: skip


def _shells(data: CrystalData, used: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    return resolution_shells(
        data.d.astype(np.float64) ** -2.0, per_shell=_PER_SHELL, most=_MAX_SHELLS, used=used
    )


def _signal(data: CrystalData) -> str:
    if data.sigf is None:
        return ""
    used = data.measured & (data.sigf > 0)
    if not used.any():
        return ""
    x, y = [], []
    for rows in _shells(data, used):
        x.append(float(np.mean(data.d[rows] ** -2.0)))
        y.append(float(np.mean(data.f[rows] / (2 * data.sigf[rows]))))
    return chart(
        "Mean I/sigma against resolution", [Series("I/sigma", x, y)], "resolution / A",
        "mean I/sigma", x_text=_resolution,
    )  # fmt: skip


def _wilson(data: CrystalData) -> str:
    intensity = data.f**2 / epsilon_factors(data.hkl, data.space_group)
    x, y = [], []
    for rows in _shells(data, data.measured):
        mean = float(np.mean(intensity[rows]))
        x.append(float(np.mean(data.d[rows] ** -2.0)))
        y.append(math.log(mean) if mean > 0 else math.nan)
    low, high = min(y, default=0.0), max(y, default=1.0)
    return chart(
        "Logarithm of the mean intensity against resolution", [Series("ln mean F^2", x, y)],
        "resolution / A", "ln mean F^2", x_text=_resolution, y_range=(low, high),
    )  # fmt: skip


def _centric(data: CrystalData) -> NDArray[np.bool_]:
    return np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)


def _used(data: CrystalData, report: DataReport) -> NDArray[np.bool_]:
    limit = report.strong_d_min or data.d_min
    return data.measured & (data.d >= limit) & np.isfinite(report.anisotropy.e_squared)


def _intensities(data: CrystalData, report: DataReport) -> str:
    used, centric = _used(data, report), _centric(data)
    z = np.linspace(0, 2, _STEPS)
    series = []
    for name, which, expected in (
        ("acentric", used & ~centric, 1 - np.exp(-z)),
        ("centric", used & centric, erf(np.sqrt(z / 2))),
    ):
        values = np.sort(report.anisotropy.e_squared[which])
        if len(values) < 2 * _PER_SHELL:
            continue
        found = np.searchsorted(values, z, side="right") / len(values)
        series.append(Series(name, z.tolist(), found.tolist()))
        series.append(Series(f"{name}, expected", z.tolist(), expected.tolist(), "dashed"))
    return chart(
        "Cumulative distribution of intensities", series, "z = I / mean I", "N(z)", y_range=(0, 1)
    )


def _l_test(data: CrystalData, report: DataReport) -> str:
    if report.l_test is None:
        return ""
    e = report.anisotropy.e_squared
    first, second = neighbours(data, _used(data, report) & ~_centric(data))
    total = e[first] + e[second]
    positive = total > 0
    size = np.sort(np.abs(e[first] - e[second])[positive] / total[positive])
    steps = np.linspace(0, 1, _STEPS)
    found = np.searchsorted(size, steps, side="right") / max(len(size), 1)
    series = [
        Series("measured", steps.tolist(), found.tolist()),
        Series("untwinned", steps.tolist(), steps.tolist(), "dashed"),
        Series("perfect twin", steps.tolist(), (steps * (3 - steps**2) / 2).tolist(), "dashed"),
    ]
    return chart("Cumulative distribution of L", series, "|L|", "N(|L|)", y_range=(0, 1))


def _anisotropy(report: DataReport) -> str:
    bars = Series("B", [1, 2, 3], list(report.principal_b), "bars")
    return chart(
        "B along the principal axes", [bars], "principal axis", "B / A^2", x_range=(0.4, 3.6),
        x_text=lambda x: f"{x:.0f}" if abs(x - round(x)) < 1e-6 else "",
    )  # fmt: skip
