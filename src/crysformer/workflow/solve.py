"""From reflections to a folder of results: quality of the data, phases, files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crysformer.building.start import Start
from crysformer.crystal.quality.report import DataReport, data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError
from crysformer.files import locked_folder, refuse_input, staged_files, write_json
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.checkpoint import STATE
from crysformer.phasing.solution import Solution
from crysformer.phasing.solver import solve
from crysformer.schema import parse_json
from crysformer.signals import uninterrupted
from crysformer.workflow.build import (
    BUILDING_FILES,
    SUMMARY,
    add_building,
    remove_building,
    run_entries,
)
from crysformer.workflow.pictures import PICTURE, write_picture
from crysformer.workflow.reports import REPORT, write_report
from crysformer.workflow.search_model import with_refined_model
from crysformer.workflow.solution_files import ATOMS, MODEL, RESULTS, write_solution

#: Seconds that the k-fold R-free may always take; after a longer search, as long as that.
_SHORT = 5.0


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
    build_time_limit: float | None = None,
    dictionary: Sequence[str | Path] = (),
    report_page: bool = True,
    command: str | None = None,
    **options: Any,
) -> tuple[Solution, dict[str, Any]]:
    """Solve a crystal and write what ``crysformer solve`` writes.

    Parameters
    ----------
    data
        Measured amplitudes, any space group.
    folder
        Receives solution.mtz, solution.ccp4, summary.json, state.safetensors, report.html,
        density.png and, if the solution has a peptide model, model.cif, and if it has atoms with
        elements, atoms.res; all or, if the search fails, only the state.
    sequence, copies, composition
        As `crysformer.solve`.
    overwrite
        Accept a folder that is not empty.
    resume
        Continue from the state in the folder. If the search adds nothing and no model is to be
        built, a model that is there already stays, with all other files; a note says so.
    on_report
        Called with the quality of the data before the search begins.
    translate
        Applied to every note of the solution before it is written.
    build_time_limit
        Seconds for building a model of a solved crystal, beside the time limit of the search; by
        default no model is built. If there is none, the entry ``refinement`` of the summary has the
        reason as ``failure``, and the files of the solution stay.
    dictionary
        Monomer dictionaries for building.
    report_page
        Write report.html and density.png as well.
    command
        The command line, for summary.json.
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
    written = (*RESULTS, *BUILDING_FILES, REPORT, PICTURE)
    refuse_input([data.source], [target / name for name in written])
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
        interruption = solution.interruption
        earlier = _model_summary(target) if resume else None
        builds = build_time_limit is not None and solution.solved
        if earlier is not None and not builds:
            same = interruption is None and _same_phases(earlier, solution)
            told = "stays: its phases are the same" if same else "is removed: the phases are new"
            solution = replace(
                solution, notes=(*solution.notes, f"the model of an earlier run {told}")
            )
            if same:
                notes = tuple(translate(note) for note in solution.notes)
                return replace(solution, notes=notes), earlier
        if not builds:  # building refines the model of the search itself
            try:
                solution = with_refined_model(solution, data)
            except KeyboardInterrupt as stop:  # the model of the search is written as it is
                interruption = stop
        solution = replace(solution, notes=tuple(translate(note) for note in solution.notes))
        summary: dict[str, Any] | None = None
        try:
            with uninterrupted():
                summary = write_results(
                    target, data, solution, report, sequences, copies, translate, command
                )
        except KeyboardInterrupt as late:
            interruption = late
        if interruption is not None:
            what = "the state is" if summary is None else "the best candidate and the state are"
            raise type(interruption)(
                f"{what} in {target}; pass `resume` to go on"
            ) from interruption
        assert summary is not None
        if build_time_limit is not None and solution.solved:  # as `builds` says
            summary = _with_model(
                target, data, solution, sequences, summary,
                dictionary=dictionary, copies=copies, time_limit=build_time_limit,
                k_fold_limit=max(_SHORT, solution.seconds),
                seed=options.get("seed", 0), translate=translate,
                progress=options.get("progress"),
            )  # fmt: skip
        if report_page:
            write_picture(target, solution, Path(data.source).name)
            write_report(target, (data, report))
    return solution, summary


def _model_summary(target: Path) -> dict[str, Any] | None:
    """Content of summary.json of a folder with a built model; None without one."""
    path = target / SUMMARY
    if not path.is_file() or not (target / MODEL).is_file():
        return None
    try:
        summary = parse_json(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(summary, dict) or "n_residues" not in (summary.get("refinement") or {}):
        return None
    return summary


def _same_phases(earlier: Mapping[str, Any], solution: Solution) -> bool:
    """Whether a resumed search added nothing to the solution of which there is a model."""
    now = solution.to_summary()
    same = ("solved", "method", "starts", "space_group")
    return all(name in earlier and earlier[name] == now[name] for name in same)


def write_results(
    target: Path,
    data: CrystalData,
    solution: Solution,
    report: DataReport,
    sequences: tuple[str, ...],
    copies: int | None,
    translate: Callable[[str], str] = str,
    command: str | None = None,
) -> dict[str, Any]:
    """Write the files of a solution into a folder whose lock the caller holds, and nothing older.

    Parameters
    ----------
    target
        The folder.
    data, solution, report
        The crystal, its solution, and the quality of the data.
    sequences, copies
        What it was solved with.
    translate
        Applied to the report's warnings.
    command
        The command line, for summary.json.

    Returns
    -------
    dict
        The content of summary.json.
    """
    with staged_files(target) as staging:
        entries = run_entries(data, sequences, copies, command)
        summary = write_solution(staging, data, solution, report, translate, entries)
    # those of an earlier run do not belong to these phases
    remove_building(target)
    if solution.model is None:
        (target / MODEL).unlink(missing_ok=True)
    if solution.atoms is None:
        (target / ATOMS).unlink(missing_ok=True)
    return summary


def _with_model(
    target: Path,
    data: CrystalData,
    solution: Solution,
    sequences: tuple[str, ...],
    summary: dict[str, Any],
    *,
    translate: Callable[[str], str],
    **options: Any,
) -> dict[str, Any]:
    """Build a model of a solution that is written already; the summary then.

    Whatever goes wrong is told in the summary: the phases are there.
    """
    begun = time.monotonic()
    data = solution.data or data
    if solution.model is not None:  # of an enantiomorphic pair, it may be in the other group
        data = replace(data, space_group=solution.model.space_group)
    try:
        return add_building(
            target, data, sequences, Start.of(solution), summary,
            translate=translate, **options,
        )[2]  # fmt: skip
    except KeyboardInterrupt as interruption:
        what = "; ".join(map(str, interruption.args))
        raise type(interruption)(
            f"{what}; the phases are in {target}; pass `resume` to build anew"
        ) from interruption
    except CrysformerError as error:
        failed = {"failure": translate(str(error)), "seconds": round(time.monotonic() - begun, 1)}
        summary = {**summary, "refinement": failed}
        write_json(target / "summary.json", summary)
        return summary
