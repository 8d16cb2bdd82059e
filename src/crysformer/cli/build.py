"""Build and refine an atomic model from phases of this or any other program.

DATA is a folder that `crysformer solve` wrote, whose sequence is known to it, or a file of
reflections with --sequence (at atomic resolution also `--sequence proposed`, which reads it from
the atoms) and --map (map coefficients, or phases with figures of merit, of any
program) or --model. The first model is the one that the solver found or that is given; at atomic
resolution, atoms matched to the covalent bonds of the sequence; else a trace of the map. It is
refined with servalcat if that is installed (pip install 'crysformer[build]'), rebuilt, and gets
waters, hydrogens and anisotropic B as far as R-free or the number of reflections justify them.
Writes model.cif, model.pdb, solution.mtz (maps 2mFo-DFc and mFo-DFc), summary.json,
refinement.log, open.py for Coot, at atomic resolution model.ins and model.hkl for SHELXL, and,
without --no-report, density.png (a picture) and report.html (for a browser).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crysformer.cli._common import (
    add_building_arguments,
    add_copies_argument,
    add_data_arguments,
    add_output_arguments,
    add_sequence_arguments,
    emit,
    load_inputs,
    log,
    progress_bar,
    seed,
    with_flags,
)
from crysformer.cli._verdict import model_line, report_lines, written_line
from crysformer.errors import InputError, UsageError
from crysformer.file_content import STDIN

if TYPE_CHECKING:
    from crysformer.building.start import Start
    from crysformer.crystal.reflections import CrystalData

#: Options for reading a file of reflections, which a solved folder does not take.
_OF_FILES = ("cell", "space_group", "labin", "block", "map", "map_labin", "model")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_arguments(parser, "folder of crysformer solve, or reflections in any format")
    add_sequence_arguments(parser)
    add_copies_argument(parser)
    group = parser.add_argument_group("start, with a file of reflections")
    group.add_argument(
        "--map", metavar="MTZ", help="map coefficients or phases of any program, in an MTZ file"
    )
    group.add_argument(
        "--map-labin", metavar="F,PHI[,FOM]", help="columns of --map, where it has several"
    )
    group.add_argument(
        "--model", metavar="FILE", help="model in the cell of DATA to refine, PDB or mmCIF"
    )
    add_building_arguments(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of random numbers")
    parser.add_argument(
        "--no-report", action="store_true", help="leave out report.html and density.png"
    )
    add_output_arguments(parser, "the model and its files")


def run(args: argparse.Namespace) -> int:
    """Build, write the files, and print R factors and validation."""
    proposed = args.sequence == "proposed"
    if proposed:
        args.sequence = None
    data, sequences, copies, start, inputs, solved = _inputs(args)
    if proposed:
        from crysformer.building.proposed_sequence.proposal import proposal_line
        from crysformer.workflow.proposed_sequence import with_proposed_sequence

        start, sequences, solved = with_proposed_sequence(
            data, start, solved, copies, args.build_time_limit
        )
    from crysformer.workflow.build import build_to_folder

    with progress_bar(args, "building") as progress:
        built, validation, summary = build_to_folder(
            data,
            args.output,
            sequences,
            start,
            dictionary=args.dictionary,
            copies=copies,
            time_limit=args.build_time_limit,
            seed=args.seed,
            overwrite=args.overwrite,
            inputs=inputs,
            summary=solved,
            report_page=not args.no_report,
            progress=progress,
            translate=lambda text: with_flags(text, args),
            command=getattr(args, "command_line", None),
        )
    lines = [f"start: {built.origin}"]
    if proposed:
        lines.insert(0, proposal_line(summary["proposed_sequence"]))
    lines += [f"note: {note}" for note in built.notes]
    if summary["sequence"]["probability"] is not None:
        lines.append(f"sequence: {summary['sequence']['verdict']}")
    lines += [model_line(summary["refinement"]), f"geometry: {validation.text()}"]
    folder = Path(args.output)
    lines += [written_line(folder), f"view: coot --script {folder / 'open.py'}"]
    lines += report_lines(folder)
    emit(args, summary, "\n".join(lines), verdict=model_line(summary["refinement"]))
    return 0


def _inputs(
    args: argparse.Namespace,
) -> tuple[CrystalData, tuple[str, ...], int | None, Start, list[str], dict[str, Any] | None]:
    """Data, sequences, copies, start, files that were read, and the summary of the solution."""
    if Path(args.data).is_dir():
        given = [name for name in _OF_FILES if getattr(args, name) is not None]
        if given:
            option = "--" + given[0].replace("_", "-")
            raise UsageError(f"{option} belongs to a file of reflections; {args.data} is a folder")
        from crysformer.building.start_from_files import read_solved_folder
        from crysformer.peptide.sequence_file import sequences_of

        solved = read_solved_folder(args.data)
        sequences = sequences_of(args.sequence) or solved.sequences
        copies = solved.copies if args.copies is None else args.copies
        files = [str(path) for path in Path(args.data).iterdir() if path.is_file()]
        return solved.data, sequences, copies, solved.start, files, solved.summary
    if args.map is not None and args.model is not None:
        raise UsageError("--map and --model are both given: building starts from one of them")
    if args.map_labin is not None and args.map is None:
        raise UsageError("--map-labin names columns of --map, which is not given")
    if args.map is None and args.model is None:
        if args.data != STDIN and not Path(args.data).exists():
            raise InputError(f"{args.data}: no such file or folder")
        raise UsageError(
            f"{args.data} has no phases that are used: give --map or --model, or a folder that "
            "crysformer solve wrote"
        )
    data, read = load_inputs(args)
    for warning in data.warnings:
        log.warning("%s", warning)
    from crysformer.building.start_from_files import start_from_map, start_from_model

    if args.map is not None:
        start, file = start_from_map(data, args.map, args.map_labin), args.map
    else:
        start, file = start_from_model(data, args.model), args.model
    return data, read or (), args.copies, start, [file], None
