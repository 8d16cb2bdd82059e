"""The paper's figure 2: phase error against resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from crysformer.files import atomic_path

RANDOM_PHASE_ERROR = 90.0
"""Mean error of random phases, degrees."""


def phase_error_figure(shells: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Draw mean aligned phase error against resolution, a curve for each method.

    Parameters
    ----------
    shells
        ``Evaluation.shells()`` by the name shown in the legend.
    path
        File of the figure; its suffix, such as .png or .svg, sets the format.
    """
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    ticks: list[float] = []
    for name, rows in shells.items():
        # Drawn on 1/d^3, where shells of equal reciprocal volume are equally wide.
        edges = [(row["d_max"] or float("inf")) ** -3.0 for row in rows]
        centres = [(low + row["d_min"] ** -3.0) / 2 for low, row in zip(edges, rows, strict=True)]
        axes.plot(
            centres, [row["mean_phase_error_aligned"] for row in rows], marker="o", label=name
        )
        ticks = ticks or [row["d_min"] for row in rows]
    axes.axhline(RANDOM_PHASE_ERROR, color="0.6", linestyle="--", linewidth=1, label="chance")
    axes.set_xticks([d**-3.0 for d in ticks], [f"{d:.2f}" for d in ticks])
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.set_xlabel("resolution (Å), shells of equal reciprocal volume")
    axes.set_ylabel("mean phase error, aligned (degrees)")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.removeprefix("."))
