"""Figures 2 to 9 of the paper: errors against resolution, and iso-surfaces of predictions."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crysformer.data.store import FragmentStore, Split
from crysformer.errors import UsageError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.experiments.case_selection import DEFAULT_CASES, Case, choose_cases
from crysformer.evaluation.experiments.curves import Curve, measure_curves
from crysformer.evaluation.experiments.setting import ROWS, check_setting, read_piece
from crysformer.evaluation.figures import phase_error_figure
from crysformer.evaluation.methods import METHODS, Settings
from crysformer.evaluation.runner import crystal_of
from crysformer.evaluation.scoring import score
from crysformer.files import atomic_path, write_json
from crysformer.report.hardware import machine
from crysformer.report.isosurfaces import PREDICTED, TRUE, VOLUME, Panel, isosurface_figure
from crysformer.version import __version__

_ERRORS = "figure-2.png"
_ERRORS_CAPTION = (
    "Mean phase error against resolution on {n} crystals of the {split} split, in shells of equal "
    "reciprocal volume and so of about equally many reflections, after alignment of origin and "
    "hand. Reflections of all crystals count alike; a missing phase counts as 90 degrees."
)
_SURFACES_CAPTION = (
    "{sequence} ({id}), {choice}: PC {pc:.3f} and a mean phase error of {error:.1f} degrees as "
    "predicted, without alignment. Left: true density; middle: prediction of {model}; right: both. "
    "Every surface encloses {volume:g} A^3 for each atom; a cell is shown once, its content where "
    "it is nearest to the molecule. Sticks: the true model. Bar: 3 A."
)


def draw_figures(
    data: str | Path,
    folder: Path,
    curves: Sequence[Curve],
    settings: Settings,
    progress: Callable[[str], None],
    split: Split = "test",
    limit: int = 64,
    drawn: str | None = None,
    kinds: Sequence[str] = DEFAULT_CASES,
) -> dict[str, Any]:
    """Measure and draw what is not in the folder yet; write ``figures.json`` and ``figures.md``.

    After an interruption the same call goes on.

    Parameters
    ----------
    data
        Data set.
    folder
        Output folder, which exists.
    curves
        Methods of figure 2.
    settings
        Seed, device, and time limit for each crystal.
    progress
        Called with a line of text before each piece.
    split, limit
        Crystals, drawn at random by the seed.
    drawn
        Name of the curve whose maps are drawn as surfaces; by default the first network's last.
    kinds
        Cases that are drawn, as for `choose_cases`.

    Returns
    -------
    dict
        The content of ``figures.json``.

    Raises
    ------
    UsageError
        If there is no curve called `drawn`, or it hands out no map.
    InputError
        If the folder was begun with other settings.
    """
    model = _drawn(curves, drawn)
    setting = {
        "experiment": "figures",
        "data": str(Path(data).resolve()),
        "curves": [asdict(curve) for curve in curves],
        "split": split,
        "limit": limit,
        "seed": settings.seed,
        "time_limit": settings.time_limit,
        "drawn": model.name,
        "cases": list(kinds),
    }
    choose_cases(kinds, [], [])
    check_setting(folder, setting)
    measured = measure_curves(curves, data, folder, settings, split, limit, progress)
    examples = measured[list(curves).index(model)]["examples"]
    cases = choose_cases(kinds, [e["pc"] for e in examples], [e["sequence"] for e in examples])
    shells = {c.name: m["metrics"]["shells"] for c, m in zip(curves, measured, strict=True)}
    n = measured[0]["metrics"]["n"]
    phase_error_figure(shells, folder / _ERRORS)
    figures = [{"file": _ERRORS, "caption": _ERRORS_CAPTION.format(n=n, split=split)}]
    for number, case in enumerate(cases, start=3):
        figures.append(_case_figure(number, case, examples, data, folder, model, settings, split))
        progress(f"{figures[-1]['file']}: {case.text()}")
    result = {
        **setting,
        "data": Path(data).name,
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "hardware": machine(),
        "figures": figures,
        "methods": {c.name: m["metrics"] for c, m in zip(curves, measured, strict=True)},
    }
    write_json(folder / "figures.json", result)
    with atomic_path(folder / "figures.md") as path:
        path.write_text(page(result), encoding="utf-8")
    return result


def page(result: Mapping[str, Any]) -> str:
    """Format the figures with their captions, and the means of the methods, as Markdown."""
    lines = [
        "# Figures 2 to 9",
        "",
        f"crysformer {result['version']}, {result['date']}, {result['hardware']}.",
        "",
        "| method | PC | PC, aligned | phase error | phase error, aligned | solved |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, m in result["methods"].items():
        lines.append(
            f"| {name} | {m['pc']:.3f} | {m['pc_aligned']:.3f} | {m['mean_phase_error']:.2f} | "
            f"{m['mean_phase_error_aligned']:.2f} | {m['solved_share']:.0%} |"
        )
    for figure in result["figures"]:
        number = figure["file"].removeprefix("figure-").split(".")[0]
        lines += ["", f"![]({figure['file']})", "", f"**Figure {number}.** {figure['caption']}"]
    return "\n".join(lines) + "\n"


def _drawn(curves: Sequence[Curve], name: str | None) -> Curve:
    networks = [c for c in curves if c.method.startswith("network")]
    if name is None:
        own = [c for c in networks if c.weights == networks[0].weights] if networks else []
        if not own:
            raise UsageError("no network's maps to draw: choose a curve by `draw`")
        return own[-1]
    chosen = [c for c in networks if c.name == name]
    if not chosen:
        raise UsageError(
            f"`draw` is {name!r}: expected one of {', '.join(repr(c.name) for c in networks)}"
        )
    return chosen[0]


def _case_figure(
    number: int,
    case: Case,
    examples: Sequence[Mapping[str, Any]],
    data: str | Path,
    folder: Path,
    model: Curve,
    settings: Settings,
    split: Split,
) -> dict[str, Any]:
    """Draw a case unless it is drawn already, and describe it."""
    kept, picture = folder / ROWS / f"figure-{number}.json", f"figure-{number}.png"
    if kept.is_file() and (folder / picture).is_file():
        return read_piece(kept)
    chosen = examples[case.index]
    store = FragmentStore.open(data)
    table = store.table(split)
    row = int(np.flatnonzero(np.asarray(table.id) == chosen["id"])[0])
    quality = DataQuality()
    crystal = crystal_of(table, row, store.recipe, quality, settings.seed)
    own = Settings(settings.time_limit, settings.seed, settings.device, model.weights)
    found = METHODS[model.method](crystal.data, crystal.sequence, own)
    assert found.density is not None  # the network applied to this crystal when it was ranked
    figures = score(crystal, found.phi, quality.d_min, found.density)
    predicted = (found.density, PREDICTED)
    true = (crystal.density, TRUE)
    isosurface_figure(
        [
            Panel("true density", [true]),
            Panel("prediction", [predicted]),
            Panel("both", [true, predicted]),
        ],
        crystal.structure,
        folder / picture,
        f"{crystal.sequence}, {case.text()}, PC {figures.pc:.3f}",
        [("true density", TRUE), ("prediction", PREDICTED)],
    )
    described = {
        "file": picture,
        "caption": _SURFACES_CAPTION.format(
            sequence=crystal.sequence, id=crystal.id, choice=case.text(), pc=figures.pc,
            error=figures.mean_phase_error, model=model.name, volume=VOLUME,
        ),
        "id": crystal.id,
        "sequence": crystal.sequence,
        "kind": case.kind,
        "rank": case.rank,
        "of": case.of,
        "pc": figures.pc,
        "pc_aligned": figures.pc_aligned,
        "mean_phase_error": figures.mean_phase_error,
        "mean_phase_error_aligned": figures.mean_phase_error_aligned,
    }  # fmt: skip
    write_json(kept, described)
    return described
