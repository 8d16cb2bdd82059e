"""Find the phases of a crystal from its amplitudes, with the sequence where it is known.

What the data tell before phasing (completeness, Wilson B, twinning and so on) is said first;
`crysformer info DATA` tells all of it. Writes solution.mtz (the measured amplitudes with FWT PHWT
FOM), solution.ccp4 (the map), summary.json and, where the search with the sequence found the
solution, model.cif into the output folder, and prints a verdict. A run that finds nothing
convincing is not a failure: the best candidate is written, with solved: false.
What was found is kept in state.safetensors as the search goes; --resume goes on from it, also after
the run was killed.

DATA may be a list, LIST.tsv: tab-separated, with the header data, sequence, copies (and name, if
file names are not enough). Paths are relative to the list; sequence and copies may be empty. Every
crystal gets a folder of its own below the output folder, beside results.tsv and results.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crysformer.cli._common import (
    add_copies_argument,
    add_data_arguments,
    add_output_arguments,
    add_sequence_arguments,
    emit,
    load_data,
    load_sequences,
    log,
    output_folder,
    progress_bar,
    seed,
    with_flags,
)
from crysformer.errors import UsageError
from crysformer.files import write_json
from crysformer.phasing.method import AUTO, METHODS

if TYPE_CHECKING:
    from crysformer.crystal.quality.report import DataReport
    from crysformer.crystal.reflections import CrystalData
    from crysformer.phasing.budget import Progress
    from crysformer.phasing.solver import Solution

LIST_ENDING = ".tsv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_arguments(
        parser,
        "reflections: .mtz, SF-mmCIF (.cif, .ent) or SHELX .hkl; .gz; or a list of them, .tsv",
    )
    add_sequence_arguments(parser)
    add_copies_argument(parser)
    parser.add_argument(
        "--method",
        choices=(AUTO, *METHODS),
        default=AUTO,
        help="default: every method that applies",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds after which the best candidate so far is taken (default 120)",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed for the random starts"
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="crystals of a list solved side by side"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the state in the output folder, for another time limit; of a list, skip "
        "the crystals that are complete",
    )
    add_output_arguments(parser, "solution.mtz, solution.ccp4 and summary.json")


def run(args: argparse.Namespace) -> int:
    """Solve one crystal, or a list of them, and say what came out."""
    if args.data.endswith(LIST_ENDING):
        from crysformer.cli import _solve_list

        return _solve_list.run(args)
    if args.jobs != 1:
        raise UsageError(f"--jobs is for a list of crystals ({LIST_ENDING}), not for {args.data}")
    with progress_bar(args, "solving") as progress:
        summary, text = solve_one(args, progress)
    emit(args, summary, text)
    return 0


def solve_one(args: argparse.Namespace, progress: Progress | None) -> tuple[dict[str, Any], str]:
    """Read, solve and write one crystal; returns summary.json and the verdict for a person."""
    data = load_data(args)
    sequences = load_sequences(args)
    with output_folder(args.output, args.overwrite or args.resume) as folder:
        from crysformer.crystal.quality.report import data_report
        from crysformer.phasing.checkpoint import STATE
        from crysformer.phasing.solver import solve

        log.info("%s", describe(data))
        report = data_report(data, sequences, args.copies)
        for line in report.lines():
            log.info("%s", line)
        for warning in report.warnings:
            log.warning("%s", warning)
        solution = solve(
            data,
            sequence=sequences,
            method=args.method,
            time_limit=args.time_limit,
            copies=args.copies,
            seed=args.seed,
            device=args.device,
            progress=progress,
            state=Path(args.output) / STATE,  # where a killed run leaves it
            resume=args.resume,
        )
        solution = replace(solution, notes=tuple(with_flags(n, args) for n in solution.notes))
        summary = write_solution(folder, data, solution, report)
    if solution.model is None:  # that of an earlier run does not belong to these phases
        (Path(args.output) / "model.cif").unlink(missing_ok=True)
    return summary, verdict(data, solution, Path(args.output))


def describe(data: CrystalData) -> str:
    """One line on what is going to be phased."""
    cell = " ".join(f"{x:g}" for x in data.cell.parameters)
    return (
        f"{data.source}: {int(data.measured.sum())} amplitudes to {data.d_min:.2f} A, "
        f"{data.space_group.xhm()}, cell {cell}"
    )


def write_solution(
    folder: Path, data: CrystalData, solution: Solution, report: DataReport | None = None
) -> dict[str, Any]:
    """Write the three result files into `folder`; returns the content of summary.json."""
    from crysformer.crystal.io.write import write_map, write_phases

    summary = solution.to_summary()
    if report is not None:
        summary["data"] = report.to_dict()
        summary["notes"] += report.warnings
    write_phases(folder / "solution.mtz", data, solution.f, solution.phi, solution.fom)
    write_map(folder / "solution.ccp4", solution.density)
    if solution.model is not None:
        structure = solution.model.to_structure()
        structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    write_json(folder / "summary.json", summary)
    return summary


def verdict(data: CrystalData, solution: Solution, folder: Path) -> str:
    """What a person wants to know first, in a few lines; notes on reading were logged already."""
    lines = [
        f"solved: {'yes' if solution.solved else 'no'} (confidence {solution.confidence:.2f}),"
        f" method {solution.method}, {solution.seconds:.1f} s",
        f"hand: as written with probability {solution.hand_probability:.2f}",
    ]
    if solution.enantiomorph:
        agreement = ", ".join(f"{name} {x:.3f}" for name, x in solution.enantiomorph.items())
        lines.append(f"enantiomorphic pair: agreement with {agreement}")
    lines.append(f"origin: {solution.origin}")
    lines += [f"note: {note}" for note in solution.notes if note not in data.notes]
    lines.append("candidates, best first:")
    for candidate in solution.candidates[:5]:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in candidate.figures.items())
        lines.append(f"  {candidate.method:<16} confidence {candidate.confidence:.2f}, {figures}")
    mtz = folder / "solution.mtz"
    names = "solution.ccp4, summary.json" + (", model.cif" if solution.model is not None else "")
    lines += [f"written: {mtz}, {names}", f"to look at it: coot --auto {mtz}"]
    if not solution.solved:
        lines.append("to go on from here: the same command with --resume and a longer --time-limit")
    return "\n".join(lines)
