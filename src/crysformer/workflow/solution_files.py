"""Result files of a solved crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crysformer.crystal.io.write import write_map, write_phases
from crysformer.crystal.quality.report import DataReport
from crysformer.crystal.reflections import CrystalData
from crysformer.files import write_json
from crysformer.phasing.solution import Solution

MODEL = "model.cif"
"""Written only if the solution has atoms."""


def write_solution(
    folder: Path, data: CrystalData, solution: Solution, report: DataReport | None = None
) -> dict[str, Any]:
    """Write solution.mtz, solution.ccp4, summary.json and, if there are atoms, model.cif.

    Parameters
    ----------
    folder
        An existing folder.
    data
        The crystal; that of the solution, merged in the space group found, comes first.
    solution
        Of `crysformer.solve`.
    report
        Quality of the data, for summary.json.

    Returns
    -------
    dict
        The content of summary.json.
    """
    data = solution.data or data
    summary = solution.to_summary()
    if report is not None:
        summary["data"] = report.to_dict()
        summary["notes"] += report.warnings
    write_phases(folder / "solution.mtz", data, solution.f, solution.phi, solution.fom)
    write_map(folder / "solution.ccp4", solution.density)
    if solution.model is not None:
        structure = solution.model.to_structure()
        structure.make_mmcif_document().write_file(str(folder / MODEL))
    write_json(folder / "summary.json", summary)
    return summary
