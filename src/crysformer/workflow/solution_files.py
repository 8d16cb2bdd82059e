"""Result files of a solved crystal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crysformer.building.proposed_sequence.proposal import PROPOSED, propose_sequence
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.shelx_res import shelx_res
from crysformer.crystal.io.write import write_map, write_phases
from crysformer.crystal.quality.report import DataReport
from crysformer.crystal.reflections import CrystalData
from crysformer.files import write_bytes, write_json
from crysformer.phasing.solution import Solution

MODEL = "model.cif"
"""Written only if the solution has a peptide model."""
ATOMS = "atoms.res"
"""Written only if the solution has atoms with elements."""
RESULTS = ("solution.mtz", "solution.ccp4", "summary.json", MODEL, ATOMS)
"""All files that `write_solution` may write."""


def write_solution(
    folder: Path,
    data: CrystalData,
    solution: Solution,
    report: DataReport | None = None,
    translate: Callable[[str], str] = str,
    entries: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write solution.mtz, solution.ccp4, summary.json and, if there are any, models.

    The peptide model goes to model.cif, atoms with elements to atoms.res.

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
    translate
        Applied to the report's warnings.
    entries
        Further entries of summary.json.

    Returns
    -------
    dict
        The content of summary.json.
    """
    data = solution.data or data
    summary = {**solution.to_summary(), **(entries or {})}
    if report is not None:
        warnings = [translate(warning) for warning in report.warnings]
        summary["data"] = {**report.to_dict(), "warnings": warnings}
        summary["notes"] += warnings
    free = free_set(data)  # the file's own flags stay as they are
    summary["notes"].append(free.note)
    flagged = replace(data, free=free.flags)
    write_phases(folder / "solution.mtz", flagged, solution.f, solution.phi, solution.fom)
    write_map(folder / "solution.ccp4", solution.density)
    if solution.model is not None:
        structure = solution.model.to_structure()
        write_bytes(folder / MODEL, structure.make_mmcif_document().as_string().encode())
    if solution.atoms is not None:
        atoms = solution.atoms
        known = (summary.get("input") or {}).get("sequence")
        proposed = None if known else propose_sequence(atoms, data.d_min)
        if solution.solved and proposed is not None:
            summary[PROPOSED] = proposed.to_summary()
        text = shelx_res(
            atoms.cell,
            atoms.space_group,
            atoms.element,
            atoms.frac,
            atoms.b_iso,
            atoms.occupancy,
            atoms.site_order,
            title=f"{Path(data.source).name} in {atoms.space_group.xhm()}",
        )
        write_bytes(folder / ATOMS, text.encode("ascii", errors="replace"))
    write_json(folder / "summary.json", summary)
    return summary
