"""Line charts as SVG that a page styles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 44
_TICKS = 5


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes
    ----------
    name
        For the legend.
    x, y
        Points; a curve is interrupted where one is not finite.
    style
        "line", "steps" for a value that stays until the next point, "dashed" for an expectation,
        "points", or "bars" from zero.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "line"


def chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    x_text: Callable[[float], str] | None = None,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Draw curves as SVG.

    Parameters
    ----------
    title
        What the chart shows, read aloud in place of it.
    series
        The curves.
    x_label, y_label
        Quantities with their units.
    x_text
        Text of a tick, such as the resolution for 1/d^2.
    x_range, y_range
        Limits of the axes; by default those of the curves, the vertical one with zero.

    Returns
    -------
    str
        An ``svg`` element; empty if there is no finite point.
    """
    points = [
        (x, y)
        for one in series
        for x, y in zip(one.x, one.y, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if not points:
        return ""
    across = [x for x, _ in points]
    x_low, x_high = _padded(*(x_range or (min(across), max(across))))
    low, high = y_range or (
        min(0.0, min(y for _, y in points)), max(0.0, max(y for _, y in points)),
    )  # fmt: skip
    low, high = _padded(low, high)

    def place(x: float, y: float) -> tuple[float, float]:
        right = (x - x_low) / (x_high - x_low)
        up = (min(max(y, low), high) - low) / (high - low)
        return (
            _LEFT + right * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)}">'
    ]
    for value in ticks(low, high):
        _, y = place(x_low, value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">{_text(value)}</text>'
        )
    for value in ticks(x_low, x_high):
        x, _ = place(value, low)
        text = _text(value) if x_text is None else x_text(value)
        parts.append(
            f'<text class="tick mid" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}">{escape(text)}</text>'
        )
    for number, one in enumerate(series):
        parts += _curve(one, number, place)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="label mid" x="{middle}" y="{_HEIGHT - 8}">{escape(x_label)}</text>')
    centre = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text class="label mid" transform="translate(13 {centre}) rotate(-90)">'
        f"{escape(y_label)}</text>"
    )
    return "".join([*parts, "</svg>", _legend(series)])


def ticks(low: float, high: float, n: int = _TICKS) -> list[float]:
    """Choose about `n` round numbers within a range."""
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _text(value: float) -> str:
    return f"{value:.6g}" if abs(value) > 1e-12 else "0"


def _curve(
    one: Series, number: int, place: Callable[[float, float], tuple[float, float]]
) -> list[str]:
    colour = f"c{number % 4}"
    finite = [math.isfinite(x) and math.isfinite(y) for x, y in zip(one.x, one.y, strict=True)]
    at = [place(x, y) if ok else None for x, y, ok in zip(one.x, one.y, finite, strict=True)]
    if one.style == "points":
        return [
            f'<circle class="{colour}" cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="3"/>' for p in at if p
        ]
    if one.style == "bars":
        base = place(0, 0)[1]
        width = 0.7 * (_WIDTH - _LEFT - _RIGHT) / max(len(at), 1)
        return [
            f'<rect class="{colour}" x="{p[0] - width / 2:.1f}" y="{min(p[1], base):.1f}" '
            f'width="{width:.1f}" height="{abs(base - p[1]):.1f}"/>'
            for p in at
            if p
        ]
    path, pen_down = [], False
    for p in at:
        if p is not None:
            level = f"H{p[0]:.1f}" if pen_down and one.style == "steps" else ""
            path.append(f"{level}{'L' if pen_down else 'M'}{p[0]:.1f} {p[1]:.1f}")
        pen_down = p is not None
    dashed = " dashed" if one.style == "dashed" else ""
    return [f'<path class="{colour}{dashed}" d="{"".join(path)}"/>']


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    entries = " ".join(
        f'<span class="key c{number % 4}{" dashed" if one.style == "dashed" else ""}">'
        f"{escape(one.name)}</span>"
        for number, one in enumerate(series)
    )
    return f'<p class="legend">{entries}</p>'
