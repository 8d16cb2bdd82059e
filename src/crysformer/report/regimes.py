"""Figures of a benchmark: heat maps by condition and method, and the reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from crysformer.evaluation.calibration import Reliability
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.tables import Summary
from crysformer.files import atomic_path

_ROW, _COLUMN = 0.19, 0.62  # inches
_NOT_APPLICABLE = "0.88"
_FASTEST = 0.1  # seconds, the low end of the colours


def heat_maps(
    summaries: Sequence[Summary],
    conditions: Sequence[Condition],
    methods: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
    """Draw heat maps of the fraction solved and of the seconds, by condition and method.

    Grey: the method does not apply. White: not measured. Lines separate the lengths of molecule.

    Parameters
    ----------
    summaries
        Summaries to draw.
    conditions, methods
        Rows and columns; those without any result are left out.
    path
        File of the figure; its suffix, such as .png or .svg, sets the format.
    title
        Title of the figure.
    """
    by_key = {(s.cell, s.method): s for s in summaries}
    conditions = [c for c in conditions if any((c.name, m) in by_key for m in methods)]
    methods = [m for m in methods if any((c.name, m) in by_key for c in conditions)]
    shape = len(conditions), len(methods)
    solved, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    declined = np.zeros(shape, dtype=bool)
    for i, condition in enumerate(conditions):
        for j, method in enumerate(methods):
            summary = by_key.get((condition.name, method))
            if summary is None:
                continue
            declined[i, j] = summary.n > 0 and summary.n == summary.n_not_applicable
            if summary.solved_share is not None:
                solved[i, j] = summary.solved_share
            if summary.seconds is not None:
                seconds[i, j] = summary.seconds
    size = (2.4 + 2 * (_COLUMN * len(methods) + 1.0), 2.2 + _ROW * len(conditions))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    slowest = np.nanmax(seconds, initial=10 * _FASTEST)
    panels = (
        (left, solved, "fraction solved", "viridis", Normalize(0, 1), "{:.0%}"),
        (right, seconds, "seconds each", "magma_r", LogNorm(_FASTEST, slowest), "{:.1f}"),
    )
    for axes, values, label, colours, norm, text in panels:
        shown = values if norm.vmin == 0 else np.maximum(values, _FASTEST)
        axes.imshow(declined, cmap=_two_greys(), vmin=0, vmax=1, aspect="auto")
        image = axes.imshow(shown, cmap=colours, norm=norm, aspect="auto")
        _write_values(axes, values, declined, norm, text)
        axes.set_xticks(range(len(methods)), methods, rotation=40, ha="right", fontsize=8)
        for row in range(1, len(conditions)):
            if conditions[row].n_residues != conditions[row - 1].n_residues:
                axes.axhline(row - 0.5, color="black", linewidth=1)
        figure.colorbar(image, ax=axes, label=label, shrink=0.4, location="top")
    left.set_yticks(range(len(conditions)), [c.name for c in conditions], fontsize=7)
    if title:
        figure.suptitle(title, fontsize=9)
    _save(figure, path)


def reliability_diagram(curves: Mapping[str, Reliability], path: Path) -> None:
    """Draw the fraction solved against confidence, and the number of results in each bin.

    Parameters
    ----------
    curves
        Reliability by the name shown in the legend.
    path
        File of the figure.
    """
    figure = Figure(figsize=(5.0, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfect")
    width = 0.09 / max(len(curves), 1)
    for i, (name, found) in enumerate(curves.items()):
        x = [b.confidence for b in found.bins]
        label = f"{name}: n {found.n}, ECE {found.ece:.3f}"
        above.plot(x, [b.solved for b in found.bins], marker="o", label=label)
        centres = [b.low + 0.005 + (i + 0.5) * width for b in found.bins]
        below.bar(centres, [b.n for b in found.bins], width=width)
    above.set(ylabel="fraction solved", xlim=(0, 1), ylim=(-0.03, 1.03))
    above.legend(fontsize=8)
    below.set(xlabel="confidence", ylabel="results", yscale="log", ylim=(0.7, None))
    _save(figure, path)


def _two_greys() -> object:
    from matplotlib.colors import ListedColormap

    return ListedColormap(["white", _NOT_APPLICABLE])


def _write_values(
    axes: Axes,
    values: NDArray[np.float64],
    declined: NDArray[np.bool_],
    norm: Normalize,
    text: str,
) -> None:
    dark_end_low = norm.vmin == 0  # of viridis; the colours for seconds run the other way
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            place = float(norm(max(value, _FASTEST) if not dark_end_low else value))
            dark = place < 0.55 if dark_end_low else place > 0.5
            colour = "white" if dark else "black"
            axes.text(j, i, text.format(value), ha="center", va="center", fontsize=6, color=colour)
        elif declined[i, j]:
            axes.text(j, i, "n/a", ha="center", va="center", fontsize=6, color="0.45")


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130, format=path.suffix.removeprefix("."))
