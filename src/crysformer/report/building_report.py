"""Tables and figures of the building experiment as files."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crysformer.evaluation.building.result import OWN, BuildingResult
from crysformer.evaluation.building.summary import PAPER, summary
from crysformer.files import atomic_path, write_json
from crysformer.report.building_figures import poly_alanine_figure, r_factor_figure
from crysformer.report.building_tables import markdown
from crysformer.report.hardware import machine
from crysformer.version import __version__

_R_FACTORS, _POLY_ALANINE = "figure-10.png", "figure-11.png"
_CAPTIONS = {
    _R_FACTORS: (
        "Left: R of built models against the correlation of their map with the true one, after "
        "alignment of origin and hand. Right: deviation of the backbone against R. Dashed: R of "
        "0.38, which the paper counts; dotted: R of 0.15 and 0.5 A, which mean a right model."
    ),
    _POLY_ALANINE: (
        "Correlation of amplitudes (left) and of normalised amplitudes (right) of poly-alanine "
        "traces with the measured ones, against the correlation of the map. Dashed: 0.25, which "
        "the paper counts."
    ),
}


def write_building_report(
    folder: Path,
    results: Sequence[BuildingResult],
    methods: Sequence[str],
    data: str,
    split: str,
    n_crystals: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Write building.json, building.md, figure-10.png and figure-11.png.

    Parameters
    ----------
    folder
        Output folder.
    results
        Results of all builders on the crystals.
    methods
        Methods in the order in which they are shown.
    data, split, n_crystals
        Name of the data set, split, and number of crystals, for the head.
    options
        What the results were made with.

    Returns
    -------
    dict
        The content of building.json.
    """
    drawn = [method for method in methods if any(_is_point(r, method) for r in results)]
    r_factor_figure(results, drawn, folder / _R_FACTORS)
    poly_alanine_figure(results, drawn, folder / _POLY_ALANINE)
    table = {
        **options,
        "data": data,
        "data_sha256": options["data"],
        "split": split,
        "n_crystals": n_crystals,
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "hardware": machine(),
        "paper": PAPER,
        **summary(results, methods),
        "figures": [{"file": name, "caption": text} for name, text in _CAPTIONS.items()],
    }
    write_json(folder / "building.json", table)
    with atomic_path(folder / "building.md") as path:
        path.write_text(markdown(table), encoding="utf-8")
    return table


def _is_point(result: BuildingResult, method: str) -> bool:
    return result.method == method and result.builder == OWN and result.status == "done"
