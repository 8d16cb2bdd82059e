"""One crystal of ``crysformer solve``: read, solved, written, and the verdict in words."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crysformer.cli._common import load_inputs, log, with_flags
from crysformer.wording import counted, r_factors_text

if TYPE_CHECKING:
    from crysformer.crystal.quality.report import DataReport
    from crysformer.crystal.reflections import CrystalData
    from crysformer.phasing.settings import SolveSettings
    from crysformer.phasing.solution import Solution
    from crysformer.progress import Progress


def load_settings(args: argparse.Namespace) -> SolveSettings:
    """Settings of the solver: those of --settings, the defaults for the others."""
    from crysformer.phasing.settings import SolveSettings

    return SolveSettings() if args.settings is None else SolveSettings.read(args.settings)


def solve_one(args: argparse.Namespace, progress: Progress | None) -> tuple[dict[str, Any], str]:
    """Read, solve and write one crystal; returns summary.json and the verdict for a person.

    `args.settings` holds the settings themselves (`load_settings`).
    """
    data, sequences = load_inputs(args, unknown_group=True)
    from crysformer.workflow.solve import solve_to_folder

    log.info("%s", describe(data))
    solution, summary = solve_to_folder(
        data,
        args.output,
        sequences,
        copies=args.copies,
        composition=args.composition,
        overwrite=args.overwrite,
        resume=args.resume,
        on_report=_log_report,
        translate=functools.partial(with_flags, args=args),
        method=args.method,
        time_limit=args.time_limit,
        seed=args.seed,
        device=args.device,
        settings=args.settings,
        progress=progress,
        find_space_group=args.find_space_group,
        build_time_limit=None if args.no_build else args.build_time_limit,
        dictionary=args.dictionary,
        report_page=not args.no_report,
    )
    return summary, verdict(data, solution, summary, Path(args.output))


def _log_report(report: DataReport) -> None:
    for line in report.lines():
        log.info("%s", line)
    for warning in report.warnings:
        log.warning("%s", warning)


def describe(data: CrystalData) -> str:
    """One line on the data to be phased."""
    from crysformer.crystal.unit_cell import constants_text

    group = data.space_group.xhm()
    if not data.space_group_known:
        group = f"Laue class {data.space_group.laue_str()}"
    return (
        f"{data.source}: {counted(int(data.measured.sum()), 'amplitude')} to {data.d_min:.2f} A, "
        f"{group}, cell {constants_text(data.cell)}"
    )


def model_line(refinement: dict[str, Any]) -> str:
    """The entry ``refinement`` of summary.json in one line."""
    if refinement.get("failure") and "r_work" not in refinement:
        return f"model: not built ({refinement['failure']})"
    figures = r_factors_text(refinement)
    if "n_residues" not in refinement:  # of the search, not built
        return f"model: {figures}"
    return (
        f"model: {figures}; "
        f"{counted(refinement['n_residues'], 'residue')} in "
        f"{counted(refinement['n_chains'], 'chain')}, "
        f"{counted(refinement['n_waters'], 'water')}, mean B {refinement['mean_b']:.1f} A^2, "
        f"{refinement['program']}, {refinement['seconds']:.1f} s"
    )


def written_line(folder: Path) -> str:
    """Name the result files that are in a folder."""
    from crysformer.phasing.checkpoint import STATE
    from crysformer.workflow.build import BUILDING_FILES
    from crysformer.workflow.pictures import PICTURE
    from crysformer.workflow.solution_files import RESULTS

    names = dict.fromkeys((*RESULTS, *BUILDING_FILES, PICTURE, STATE))
    return f"written: {folder}: " + ", ".join(name for name in names if (folder / name).is_file())


def space_groups(solution: Solution) -> str:
    """The best space groups with the agreement of symmetry mates, in one line."""
    shown = [group for group in solution.space_groups if group.supported or group.stated][:4]
    return ", ".join(
        f"{group.name} {group.agreement:.2f}"
        + (" (stated)" if group.stated else "")
        + ("" if group.supported else " (not supported)")
        for group in shown
    )


def verdict(data: CrystalData, solution: Solution, summary: dict[str, Any], folder: Path) -> str:
    """The verdict in a few lines, without the notes on reading, which were logged already."""
    support = summary["sequence"]
    answer = "yes" if solution.solved else "no"
    if solution.solved and support["supported"] is False:
        answer += ", but not with this sequence"
    lines = [
        f"solved: {answer} (confidence {solution.confidence:.2f}), method {solution.method}, "
        f"{solution.seconds:.1f} s",
    ]
    if not solution.space_group.is_centrosymmetric():
        lines.append(f"hand: as written with probability {solution.hand_probability:.2f}")
    if len(solution.enantiomorph) > 1:
        agreement = ", ".join(f"{name} {x:.3f}" for name, x in solution.enantiomorph.items())
        lines.append(f"enantiomorphic pair: agreement with {agreement}")
    if solution.space_groups:
        lines.append(f"space groups: {space_groups(solution)}")
    if support["probability"] is not None:
        lines.append(f"sequence: {support['verdict']}")
    if "proposed_sequence" in summary:
        from crysformer.building.proposed_sequence.proposal import proposal_line

        lines.append(proposal_line(summary["proposed_sequence"]))
    if support["supported"] is False and (folder / "model.cif").is_file():
        lines.append("model.cif: without the side chains that the amplitudes refute, beyond CB")
    lines.append(f"origin: {solution.origin}")
    lines += [f"note: {note}" for note in solution.notes if note not in data.notes]
    lines.append("candidates, best first:")
    for candidate in solution.candidates[:5]:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in candidate.figures.items())
        lines.append(f"  {candidate.method:<16} confidence {candidate.confidence:.2f}, {figures}")
    refinement = summary.get("refinement")
    built = refinement is not None and "n_residues" in refinement
    if refinement is not None:
        lines.append(model_line(refinement))
    lines.append(written_line(folder))
    mtz = folder / "solution.mtz"
    view = f"coot --script {folder / 'open.py'}" if built else f"coot --auto {mtz}"
    lines.append(f"view{'' if solution.solved else ' (most probably wrong)'}: {view}")
    if (page := folder / "report.html").is_file():
        lines.append(f"report: {page} (for a browser)")
    if not solution.solved:
        lines.append("to continue: the same command with --resume, for another --time-limit")
    return "\n".join(lines)
