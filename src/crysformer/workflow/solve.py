"""From reflections to a folder of results: quality of the data, phases, files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crysformer.crystal.quality.report import DataReport, data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.files import locked_folder, refuse_input, staged_files
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.checkpoint import STATE
from crysformer.phasing.solution import Solution
from crysformer.phasing.solver import solve
from crysformer.signals import uninterrupted
from crysformer.workflow.reports import REPORT, write_report
from crysformer.workflow.solution_files import ATOMS, MODEL, RESULTS, write_solution


def solve_to_folder(
    data: CrystalData,
    folder: str | Path,
    sequence: str | Sequence[str] | None = None,
    *,
    copies: int | None = None,
    composition: str | Mapping[str, int] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_report: Callable[[DataReport], None] = lambda report: None,
    translate: Callable[[str], str] = str,
    report_page: bool = True,
    **options: Any,
) -> tuple[Solution, dict[str, Any]]:
    """Solve a crystal and write what ``crysformer solve`` writes.

    Parameters
    ----------
    data
        Measured amplitudes, any space group.
    folder
        Receives solution.mtz, solution.ccp4, summary.json, state.safetensors, report.html and, if
        the solution has a peptide model, model.cif, and if it has atoms with elements, atoms.res;
        all or, if the search fails, only the state.
    sequence, copies, composition
        As `crysformer.solve`.
    overwrite
        Accept a folder that is not empty.
    resume
        Continue from the state in the folder.
    on_report
        Called with the quality of the data before the search begins.
    translate
        Applied to every note of the solution before it is written.
    report_page
        Write report.html as well.
    **options
        Of `crysformer.solve`: ``method``, ``time_limit``, ``seed``, ``settings`` and so on.

    Returns
    -------
    (solution, summary)
        The solution, and the content of summary.json.

    Raises
    ------
    CrysformerError
        As `crysformer.solve`, or if the folder cannot be used.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the best candidate so far and the state are written.
    """
    begun = time.monotonic()  # the report counts as well
    target, sequences = Path(folder), sequences_of(sequence)
    refuse_input([data.source], [target / name for name in (*RESULTS, REPORT)])
    with locked_folder(target, overwrite=overwrite, resume=resume):
        report = data_report(data, sequences or None, copies, composition)
        on_report(report)
        solution = solve(
            data,
            sequence=sequences or None,
            copies=copies,
            composition=composition,
            state=target / STATE,  # where a killed run leaves it
            resume=resume,
            return_interrupted=True,
            begun=begun,
            **options,
        )
        solution = replace(solution, notes=tuple(translate(note) for note in solution.notes))
        interruption = solution.interruption
        summary: dict[str, Any] | None = None
        try:
            with uninterrupted():
                with staged_files(target) as staging:
                    summary = write_solution(staging, data, solution, report, translate)
                # those of an earlier run do not belong to these phases
                if solution.model is None:
                    (target / MODEL).unlink(missing_ok=True)
                if solution.atoms is None:
                    (target / ATOMS).unlink(missing_ok=True)
        except KeyboardInterrupt as late:
            interruption = late
        if interruption is not None:
            what = "the state is" if summary is None else "the best candidate and the state are"
            raise type(interruption)(
                f"{what} in {target}; pass `resume` to go on"
            ) from interruption
        assert summary is not None
        if report_page:
            write_report(target)
    return solution, summary
