"""The paper's figures 10 and 11: R factors, and correlations of poly-alanine traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crysformer.evaluation.building.result import FIXED, MODIFIED, OWN, PLAIN, BuildingResult
from crysformer.evaluation.building.summary import BACKBONE, CC_PAPER, R_PAPER, R_SOLVED
from crysformer.files import atomic_path
from crysformer.report.building_tables import map_label, model_label

_MARKERS = {MODIFIED: "o", PLAIN: "x", FIXED: "+"}
_DPI = 150

Points = Sequence[tuple[float, float]]


def r_factor_figure(results: Iterable[BuildingResult], methods: Sequence[str], path: Path) -> None:
    """Draw R against PC of the map, and the backbone's RMSD against R.

    Parameters
    ----------
    results
        Results of this package; others are left out.
    methods
        Methods whose maps are shown, a colour for each.
    path
        File of the figure; its suffix, such as .png or .svg, sets the format.
    """
    own = [r for r in results if r.builder == OWN and r.status == "done"]
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, method in enumerate(methods):
        for model, marker in _MARKERS.items():
            found = [(r.pc, r.model(model)) for r in own if r.method == method]
            built = [(pc, m) for pc, m in found if m is not None and pc is not None]
            style = {
                "marker": marker, "color": f"C{number}", "s": 28, "alpha": 0.75, "linewidths": 1,
            }  # fmt: skip
            if marker == "o":
                style |= {"facecolors": "none", "edgecolors": style.pop("color")}
            _scatter(left, [(pc, m.r_work) for pc, m in built], style)
            _scatter(right, [(m.r_work, m.backbone_rmsd) for _, m in built], style)
    left.axhline(R_PAPER, color="0.4", linestyle="--", linewidth=1)
    left.axhline(R_SOLVED, color="0.4", linestyle=":", linewidth=1)
    left.set_xlabel("PC of the map, aligned")
    left.set_ylabel("R")
    left.set_ylim(bottom=0)
    right.axvline(R_PAPER, color="0.4", linestyle="--", linewidth=1)
    right.axvline(R_SOLVED, color="0.4", linestyle=":", linewidth=1)
    right.axhline(BACKBONE, color="0.4", linestyle=":", linewidth=1)
    right.set_xlim(left=0)
    right.set_yscale("log")
    right.set_xlabel("R")
    right.set_ylabel("RMSD of the backbone (Å)")
    for number, method in enumerate(methods):
        if any(r.method == method for r in own):
            left.scatter([], [], color=f"C{number}", marker="s", label=map_label(method))
    for model, marker in _MARKERS.items():
        style = {"facecolors": "none", "edgecolors": "0.2"} if marker == "o" else {"color": "0.2"}
        left.scatter([], [], marker=marker, label=model_label(model), **style)
    left.legend(fontsize=8)
    _save(figure, path)


def poly_alanine_figure(
    results: Iterable[BuildingResult], methods: Sequence[str], path: Path
) -> None:
    """Draw correlations of F and of E of poly-alanine traces against PC of the map.

    Parameters are those of `r_factor_figure`.
    """
    own = [r for r in results if r.builder == OWN and r.status == "done"]
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    panels: tuple[tuple[Axes, str, Callable[[BuildingResult], float | None]], ...] = (
        (left, "CC of F", lambda r: r.trace.cc_f if r.trace else None),
        (right, "CC of E", lambda r: r.trace.cc_e if r.trace else None),
    )
    for axes, label, value in panels:
        for number, method in enumerate(methods):
            points = [(r.pc, value(r)) for r in own if r.method == method]
            known = [(pc, y) for pc, y in points if pc is not None and y is not None]
            style = {"facecolors": "none", "edgecolors": f"C{number}", "s": 28}
            if known:
                _scatter(axes, known, {**style, "label": map_label(method)})
        axes.axhline(CC_PAPER, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel("PC of the map, aligned")
        axes.set_ylabel(f"{label} of the poly-alanine trace")
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1)
    if any(r.trace for r in own):
        left.legend(fontsize=8, loc="lower right")
    _save(figure, path)


def _scatter(axes: Axes, points: Points, style: dict[str, object]) -> None:
    if points:
        axes.scatter(*zip(*points, strict=True), **style)  # type: ignore[arg-type]


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=path.suffix.removeprefix("."))
