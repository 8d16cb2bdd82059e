"""Tables of the building experiment, with the paper's percentages, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crysformer.evaluation.building.result import FIXED, MODIFIED, PLAIN
from crysformer.evaluation.building.summary import PAPER

_MAPS = {
    "network-one-pass": "network",
    "network-polished": "network, polished",
    "solve": "solver",
    "random": "random phases (control)",
    "random-polished": "random phases, polished (control)",
}
_MODELS = {
    MODIFIED: "density-modified, refined",
    PLAIN: "as it is, refined",
    FIXED: "fixed map, not refined",
}


def map_label(method: str) -> str:
    """Name of a method's maps in tables and figures."""
    return _MAPS.get(method, method)


def model_label(model: str) -> str:
    """Name of one of `MODELS` in tables and figures."""
    return _MODELS[model]


def markdown(table: Mapping[str, Any]) -> str:
    """Format ``building.json`` as Markdown, with the pictures."""
    lines = [
        "# Model building (figures 10 and 11)",
        "",
        f"crysformer {table['version']}, {table['date']}, {table['hardware']}. {table['data']}, "
        f"{table['split']} split, {table['n_crystals']} crystals drawn at random (seed "
        f"{table['seed']}); fractions are of the crystals with a map (n).",
        "",
        "## R factors",
        "",
        "| maps | n | PC | model | R < 0.38 | R-free < 0.38 | R < 0.15 | backbone ≤ 0.5 Å "
        "| all atoms ≤ 0.3 Å | right | accepted | accepted and wrong | median CC of E |",
        "|---|---:|---:|---|" + "---:|" * 9,
    ]
    lines += [
        f"| paper: network maps, Autobuild | {PAPER['n']} | | {_MODELS[name]} | "
        f"{_percent(fraction)} |" + " |" * 8
        for name, fraction in PAPER["r_below_0.38"].items()
    ]
    missing = []
    for method, row in table["methods"].items():
        if not row["n"]:
            missing.append(_missing(method, row))
            continue
        for name, m in row["models"].items():
            lines.append(
                f"| {map_label(method)} | {row['n']} | {row['pc_aligned']:.3f} | {_MODELS[name]} | "
                + " | ".join(
                    _percent(m[key])
                    for key in (
                        "r_below_0.38", "r_free_below_0.38", "r_below_0.15", "backbone_within_0.5",
                        "all_atoms_within_0.3", "solved", "accepted",
                    )
                )
                + f" | {m['accepted_wrong']} | {_number(m['cc_e_median'])} |"
            )  # fmt: skip
    lines += [
        "",
        "Right: R < 0.15 and the backbone within 0.5 Å. A trace of a fixed map has no R-free.",
        *missing,
        "",
        "## Poly-alanine",
        "",
        "| maps | n | CC of F ≥ 0.25 | median CC of F | CC of E ≥ 0.25 | median CC of E "
        "| least to most |",
        "|---|---:|---:|---:|---:|---:|---:|",
        f"| paper: network maps, shelxe | {PAPER['n_poly_alanine']} | "
        f"{_percent(PAPER['cc_f_from_0.25'])} | | | | |",
    ]
    for method, row in table["methods"].items():
        if row["n"]:
            t = row["poly_alanine"]
            lines.append(
                f"| {map_label(method)} | {row['n']} | {_percent(t['cc_f_from_0.25'])} | "
                f"{_number(t['cc_f_median'])} | {_percent(t['cc_e_from_0.25'])} | "
                f"{_number(t['cc_e_median'])} | {_number(t['cc_e_least'])} to "
                f"{_number(t['cc_e_most'])} |"
            )
    lines += _program_lines(table["other_programs"])
    lines += ["", "## Time", "", "| maps | phasing (s) | building (s) | processor time (s) |"]
    lines.append("|---|---:|---:|---:|")
    lines += [
        f"| {map_label(method)} | {row['phasing_seconds']:.1f} | {row['seconds']:.1f}, at most "
        f"{row['seconds_max']:.1f} | {row['cpu_seconds']:.1f}, at most "
        f"{row['cpu_seconds_max']:.1f} |"
        for method, row in table["methods"].items()
        if row["n"]
    ]
    for figure in table["figures"]:
        number = figure["file"].removeprefix("figure-").split(".")[0]
        lines += ["", f"![]({figure['file']})", "", f"**Figure {number}.** {figure['caption']}"]
    return "\n".join(lines) + "\n"


def _program_lines(programs: Mapping[str, Any]) -> list[str]:
    if not programs:
        return []
    lines = [
        "", "## Other programs", "",
        "R and CC are the programs' own figures and not comparable digit by digit.", "",
        "| program | maps | n | built | R < 0.38 | R-free < 0.38 | CC ≥ 0.25 | residues "
        "| time (s) |",
        "|---|---|" + "---:|" * 7,
    ]  # fmt: skip
    for program, methods in programs.items():
        for method, row in methods.items():
            if not row["n"]:
                continue
            residues = row["n_residues_mean"]
            lines.append(
                f"| {program} | {map_label(method)} | {row['n']} | {_percent(row['built'])} | "
                f"{_percent(row['r_below_0.38'])} | {_percent(row['r_free_below_0.38'])} | "
                f"{_percent(row['cc_from_0.25'])} | "
                f"{'' if residues is None else f'{residues:.1f}'} | {row['seconds']:.0f} |"
            )
    return lines


def _missing(method: str, row: Mapping[str, Any]) -> str:
    reason = row["reason"] or (f"{row['n_crashed']} crashed" if row["n_crashed"] else "not begun")
    return f"\nMissing: {map_label(method)} ({reason})."


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.0f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
