"""The verdict on a solution, its figures and its model for a console."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crysformer.wording import build_command, counted, hand_text, r_factors_text, r_free_text

if TYPE_CHECKING:
    from crysformer.crystal.reflections import CrystalData
    from crysformer.phasing.solution import Solution

#: Figures of candidates that are printed; summary.json and the report have all.
_SHOWN: Final = ("r", "free_correlation", "z_free_correlation", "log_likelihood_gain")
_MOST_CANDIDATES: Final = 5


def verdict(data: CrystalData, solution: Solution, summary: dict[str, Any], folder: Path) -> str:
    """The verdict in a few lines, without the notes on reading, which were logged already."""
    from crysformer.phasing.sequence_support.verdict import likelier
    from crysformer.report.html.words import R_FACTORS, not_checked

    support = summary["sequence"]
    answer = "yes" if solution.solved else "no"
    if solution.solved and support["supported"] is False:
        answer += ", but not with this sequence"
    lines = [
        f"solved: {answer} (confidence {solution.confidence:.2f}), method {solution.method}, "
        f"{solution.seconds:.1f} s",
        *figures_table(summary),
    ]
    if (summary.get("refinement") or {}).get("r_work") is not None:
        lines.append(R_FACTORS)
    if not solution.space_group.is_centrosymmetric():
        lines.append(f"hand: {hand_text(solution.hand_probability)}")
    if len(solution.enantiomorph) > 1:
        agreement = ", ".join(f"{name} {x:.3f}" for name, x in solution.enantiomorph.items())
        lines.append(f"enantiomorphic pair: agreement with {agreement}")
    if solution.space_groups:
        lines.append(space_groups_line(solution))
    if support["probability"] is not None:
        lines.append(f"sequence: {support['verdict']}")
    elif unchecked := not_checked(summary):
        lines.append(f"sequence: {unchecked}")
    if solution.solved and (other := likelier(support)):
        lines.append(f"likelier sequence: {other}")
        lines.append(f"for a model with it: {build_command(folder, support['other'])}")
    lines += _proposal(data, solution, summary, folder)
    if support["supported"] is False and (folder / "model.cif").is_file():
        lines.append("model.cif: without the side chains that the amplitudes refute, beyond CB")
    lines.append(f"origin: {solution.origin}")
    lines += [f"note: {note}" for note in solution.notes if note not in data.notes]
    lines += candidates_table(summary)
    refinement = summary.get("refinement")
    built = refinement is not None and "n_residues" in refinement
    if refinement is not None and (built or refinement.get("failure")):
        lines.append(f"model: {_contents(refinement)}")
        of_model = [n for n in refinement.get("notes") or () if n not in solution.notes]
        lines += [f"note on the model: {note}" for note in of_model]
    lines.append(written_line(folder))
    mtz = folder / "solution.mtz"
    view = f"coot --script {folder / 'open.py'}" if built else f"coot --auto {mtz}"
    lines.append(f"view{'' if solution.solved else ' (most probably wrong)'}: {view}")
    lines += report_lines(folder)
    if not solution.solved:
        from crysformer.report.html.advice import advice

        for text in advice(summary):
            lines.append(f"to try next: {text}")
    return "\n".join(lines)


def _proposal(
    data: CrystalData, solution: Solution, summary: dict[str, Any], folder: Path
) -> list[str]:
    """The sequence that the atoms propose, and the command that builds a model with it."""
    from crysformer.building.proposed_sequence.likelihood import ProposalSettings
    from crysformer.building.proposed_sequence.proposal import PROPOSED, proposal_line

    command = build_command(folder, "proposed")
    if PROPOSED in summary:
        return [proposal_line(summary[PROPOSED]), f"for a model with it: {command}"]
    unknown = solution.solved and not summary["input"]["sequence"]
    if unknown and solution.atoms is None and data.d_min <= ProposalSettings().d_min:
        return [f"to read the sequence from atoms in the map: {command}"]
    return []


def figures_table(summary: dict[str, Any]) -> list[str]:
    """Figures of the model and of the best candidate, with the ranges of right and wrong ones.

    Parameters
    ----------
    summary
        Content of summary.json.
    """
    from crysformer.report.html.words import (
        FIGURES,
        KINDS,
        MODEL_FIGURES,
        NO_RANGE,
        RANGES,
        kind_of_candidate,
    )

    rows = []
    refinement = summary.get("refinement") or {}
    if refinement.get("r_work") is not None:
        fold = refinement.get("r_free_k_fold")
        folds = f", {fold['folds']}-fold" if fold else ""
        title, usual = MODEL_FIGURES["r_work"]
        rows.append([title + folds, f"{(fold or refinement)['r_work']:.3f}", usual, ""])
        if r_free := r_free_text(refinement):
            title, usual = MODEL_FIGURES["r_free"]
            rows.append([title + folds, r_free, usual, ""])
    for candidate in summary["candidates"][:1]:
        kind = kind_of_candidate(candidate["figures"])
        for name in _SHOWN:
            if (value := candidate["figures"].get(name)) is not None:
                title = f"{FIGURES[name][0]}, {KINDS[kind]}"
                rows.append([title, f"{value:.3f}", *RANGES[kind].get(name, NO_RANGE)])
    if not rows:
        return []
    return _indented([["figure", "value", "of right solutions", "of wrong ones"], *rows])


def candidates_table(summary: dict[str, Any]) -> list[str]:
    """The best candidates with their confidence and figures."""
    from crysformer.report.html.words import FIGURES, order_of_candidates

    candidates = summary["candidates"][:_MOST_CANDIDATES]  # there is one at least
    names = [name for name in _SHOWN if any(name in c["figures"] for c in candidates)]
    rows = [["method", "confidence", *(FIGURES[name][0] for name in names)]]
    for candidate in candidates:
        values = [candidate["figures"].get(name) for name in names]
        figures = ["" if value is None else f"{value:.3f}" for value in values]
        rows.append([candidate["method"], f"{candidate['confidence']:.2f}", *figures])
    lines = ["candidates, best first:", *_indented(rows, numbers=range(1, len(rows[0])))]
    return [*lines, order] if (order := order_of_candidates(candidates)) else lines


def _indented(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> list[str]:
    """Lines of a table, the columns with `numbers` aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            f"{text:>{width}}" if column in numbers else f"{text:<{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def space_groups_line(solution: Solution) -> str:
    """The best space groups, those of fewer operators than the first apart."""
    shown = [group for group in solution.space_groups if group.supported or group.stated][:4]
    order = shown[0].operators if shown else 0
    high, low = (
        ", ".join(
            f"{group.name} {group.agreement:.2f}"
            + (" (stated)" if group.stated else "")
            + ("" if group.supported else " (not supported)")
            for group in shown
            if (group.operators < order) == lower
        )
        for lower in (False, True)
    )
    also = f"; of lower symmetry: {low}" if low else ""
    return f"space groups, with agreement of symmetry mates: {high}{also}"


def model_line(refinement: dict[str, Any]) -> str:
    """The entry ``refinement`` of summary.json for a built model, in one line."""
    return f"model: {r_factors_text(refinement)}; {_contents(refinement)}"


def _contents(refinement: dict[str, Any]) -> str:
    """Size and origin of a built model, or the reason why there is none."""
    if "n_residues" not in refinement:
        return f"not built ({refinement['failure']})"
    return (
        f"{counted(refinement['n_residues'], 'residue')} in "
        f"{counted(refinement['n_chains'], 'chain')}, "
        f"{counted(refinement['n_waters'], 'water')}, mean B {refinement['mean_b']:.1f} A^2, "
        f"{refinement['program']}, {refinement['seconds']:.1f} s"
    )


def report_lines(folder: Path) -> list[str]:
    """Where the report is, if there is one."""
    from crysformer.report.html import REPORT

    page = folder / REPORT
    return [f"report: {page} (for a browser)"] if page.is_file() else []


def written_line(folder: Path) -> str:
    """Name the result files that are in a folder."""
    from crysformer.phasing.checkpoint import STATE
    from crysformer.report.html import REPORT
    from crysformer.workflow.build import BUILDING_FILES
    from crysformer.workflow.pictures import PICTURE
    from crysformer.workflow.solution_files import RESULTS

    names = dict.fromkeys((*RESULTS, *BUILDING_FILES, PICTURE, REPORT, STATE))
    return f"written: {folder}: " + ", ".join(name for name in names if (folder / name).is_file())
