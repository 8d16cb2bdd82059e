"""From phases to a folder with a refined model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crysformer.building.build import TIME_LIMIT, build
from crysformer.building.built_model import BuiltModel
from crysformer.building.clock import Report
from crysformer.building.refinement.refiner import RefinementFailed
from crysformer.building.sequence_check import checked
from crysformer.building.settings import BuildSettings
from crysformer.building.start import Start
from crysformer.building.start_from_files import SolvedInput
from crysformer.building.validation.validation import Validation, validate
from crysformer.building.writing.model_files import MODEL_FILES, write_model_files
from crysformer.crystal.reflections import CrystalData
from crysformer.files import locked_folder, refuse_input, staged_files, write_bytes, write_json
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.sequence_support.support import SupportSettings
from crysformer.phasing.sequence_support.verdict import SequenceSupport
from crysformer.signals import uninterrupted
from crysformer.version import __version__, versions
from crysformer.wording import build_command
from crysformer.workflow.pictures import PICTURE, write_model_picture
from crysformer.workflow.reports import REPORT, write_report

LOG = "refinement.log"
SUMMARY = "summary.json"
BUILDING_FILES = (*MODEL_FILES, LOG, SUMMARY)
"""All files that building may write."""
_SHOWN = (REPORT, PICTURE)


def build_to_folder(
    data: CrystalData,
    folder: str | Path,
    sequence: str | Sequence[str] | None = None,
    start: Start | None = None,
    *,
    settings: BuildSettings | None = None,
    dictionary: Sequence[str | Path] = (),
    copies: int | None = None,
    time_limit: float = TIME_LIMIT,
    seed: int = 0,
    overwrite: bool = False,
    inputs: Sequence[str | Path] = (),
    summary: dict[str, Any] | None = None,
    report_page: bool = True,
    progress: Report | None = None,
    translate: Callable[[str], str] = str,
    command: str | None = None,
) -> tuple[BuiltModel, Validation, dict[str, Any]]:
    """Build a model and write what ``crysformer build`` writes.

    Parameters
    ----------
    data
        The crystal.
    folder
        Receives model.cif, model.pdb, solution.mtz, open.py, refinement.log, summary.json and, at
        atomic resolution, model.ins and model.hkl; all of them or none, but for the log of a
        refinement that failed.
    sequence, start, settings, dictionary, copies, time_limit, seed, progress
        As `crysformer.build`.
    overwrite
        Accept a folder that is not empty.
    inputs
        Files that are read and must not be replaced.
    summary
        Content of the summary.json of the solution, which that of the model extends; by default
        there is no solution.
    report_page
        Write density.png as well, and report.html if there is a verdict on a solution.
    translate
        Applied to every note before it is written.
    command
        The command line, for summary.json.

    Returns
    -------
    (built, validation, summary)
        The model, its validation, and the content of summary.json.

    Raises
    ------
    CrysformerError
        As `crysformer.build`, or if the folder cannot be used.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the best model so far is written, if there is one.
    """
    target, sequences = Path(folder), sequences_of(sequence)
    refuse_input([data.source, *inputs], [target / name for name in (*BUILDING_FILES, *_SHOWN)])
    with locked_folder(target, overwrite=overwrite):
        found = add_building(
            target, data, sequences, start or Start(),
            {**(summary or {}), **run_entries(data, sequences, copies, command)},
            settings=settings, dictionary=dictionary, copies=copies, time_limit=time_limit,
            seed=seed, progress=progress, translate=translate,
        )  # fmt: skip
        if report_page:
            write_model_picture(target, found[0], Path(data.source).name)
        if report_page and summary is not None and "solved" in summary:
            write_report(target)
    return found


def add_building(
    folder: Path,
    data: CrystalData,
    sequences: Sequence[str],
    start: Start,
    summary: dict[str, Any],
    *,
    dictionary: Sequence[str | Path] = (),
    copies: int | None = None,
    time_limit: float = TIME_LIMIT,
    k_fold_limit: float = math.inf,
    seed: int = 0,
    settings: BuildSettings | None = None,
    progress: Report | None = None,
    translate: Callable[[str], str] = str,
) -> tuple[BuiltModel, Validation, dict[str, Any]]:
    """Build a model in the folder of a solution, whose lock the caller holds.

    Parameters
    ----------
    folder
        Folder with the solution; its files stay as they are if building fails, but for the log.
    data
        The crystal of the solution.
    sequences
        The chains.
    start
        Start from the solution.
    summary
        Content of its summary.json.
    dictionary, copies, time_limit, k_fold_limit, seed, settings, progress
        As `crysformer.build`.
    translate
        Applied to every note before it is written.

    Returns
    -------
    (built, validation, summary)
        As `build_to_folder`; the summary is that of the solution with the tables of building.

    Raises
    ------
    CrysformerError
        If there is no model.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the best model so far is written, if there is one.
    """
    try:
        built = build(
            data, sequences, start, settings, dictionary=dictionary, copies=copies,
            time_limit=time_limit, k_fold_limit=k_fold_limit, seed=seed, progress=progress,
            return_interrupted=True,
        )  # fmt: skip
    except RefinementFailed as failure:
        write_bytes(folder / LOG, failure.log.encode())
        raise
    except KeyboardInterrupt as stop:
        raise type(stop)("building was interrupted before there was a model") from stop
    interruption = built.interruption
    support = SequenceSupport(note="not compared: building was interrupted")
    try:
        if interruption is None:
            until = time.monotonic() + SupportSettings().seconds
            built, support = checked(built, until, settings)
    except KeyboardInterrupt as stop:
        interruption = stop
    extended: dict[str, Any] | None = None
    try:
        with uninterrupted():
            validation = validated(built)
            extended = {**summary, **building_summary(built, validation, translate)}
            if support.probability is not None or "sequence" not in summary:
                extended["sequence"] = support.to_summary()
            _write(folder, built, sequences, validation, extended)
    except KeyboardInterrupt as late:
        if extended is None:
            raise
        interruption = late
    if interruption is not None:
        raise type(interruption)(
            f"building was interrupted; the best model so far is in {folder}, and "
            f"`{build_command(folder)}` goes on from it"
        ) from interruption
    return built, validation, extended


def _write(
    folder: Path,
    built: BuiltModel,
    sequences: Sequence[str],
    validation: Validation,
    summary: dict[str, Any],
) -> None:
    """Replace the files of an earlier model, such as model.ins at atomic resolution, by these.

    Its report goes: the new one comes last, and not after an interruption.
    """
    with staged_files(folder) as staging:
        write_building(staging, built, sequences, validation)
        write_json(staging / SUMMARY, summary)
        written = {path.name for path in staging.iterdir()}
    for name in (*MODEL_FILES, *_SHOWN):
        if name not in written:
            (folder / name).unlink(missing_ok=True)


def validated(built: BuiltModel) -> Validation:
    """Validation of a built model against its data."""
    return validate(
        built.structure, built.data, built.scaled, built.coefficients, built.reported,
        dictionary=built.monomers,
    )  # fmt: skip


def building_summary(
    built: BuiltModel, validation: Validation, translate: Callable[[str], str] = str
) -> dict[str, Any]:
    """The tables ``refinement`` and ``validation`` of summary.json."""
    refinement = built.to_summary()
    refinement["notes"] = [translate(note) for note in refinement["notes"]]
    return {"refinement": refinement, "validation": validation.to_summary()}


def run_entries(
    data: CrystalData, sequences: Sequence[str], copies: int | None, command: str | None
) -> dict[str, Any]:
    """The tables ``input`` and ``program`` of summary.json.

    With the first, ``crysformer build`` goes on later.
    """
    given = SolvedInput(data.source, tuple(sequences), copies, data.radiation)
    program = {"version": __version__, "command": command, "packages": versions()}
    return {"input": asdict(given), "program": program}


def write_building(
    staging: Path, built: BuiltModel, sequences: Sequence[str], validation: Validation
) -> None:
    """Write the files of the model and the log of its refinement."""
    write_model_files(staging, built, sequences, validation)
    write_bytes(staging / LOG, built.log.encode())


def remove_building(folder: Path) -> None:
    """Remove the files of an earlier building and its report, which are not of the new phases."""
    for name in (*BUILDING_FILES, *_SHOWN):
        if name not in (SUMMARY, "solution.mtz", "model.cif"):
            (folder / name).unlink(missing_ok=True)
