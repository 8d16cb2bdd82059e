"""The table of an experiment as JSON and Markdown, with the paper's figures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from crysformer.evaluation.experiments.rows import PUBLISHED

_COLUMNS = (
    "row", "PC", "PC, better hand", "phase error", "F-weighted", "phase error, aligned", "solved",
    "examples", "epochs", "minutes", "examples/s", "parameters", "peak memory", "GFLOP/example",
)  # fmt: skip


def table_of(
    experiment: str,
    setting: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    phasing: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Collect everything that the JSON holds.

    Parameters
    ----------
    experiment
        Name of the experiment.
    setting
        Budget, data set, versions and hardware.
    rows
        Results of the networks.
    phasing
        Metrics of phasing methods on the same crystals, as `Evaluation.metrics`.
    """
    published = {name: asdict(p) for name, p in PUBLISHED.get(experiment, {}).items()}
    return {
        "experiment": experiment,
        **setting,
        "rows": [dict(row) for row in rows],
        "phasing": [dict(metrics) for metrics in phasing],
        "paper": published,
    }


def markdown(table: Mapping[str, Any]) -> str:
    """Format a table of `table_of`."""
    budget = table["budget"]
    given = (
        f"{budget['minutes']:g} minutes{' of processor time' if budget['processor_time'] else ''}"
        if budget["minutes"] is not None
        else f"{budget['examples']:,} examples"
    )
    n = table["rows"][0]["n"] if table["rows"] else 0
    lines = [
        f"# {table['experiment']}",
        "",
        f"{given} for each row, {n} crystals of the {budget['split']} split, "
        f"{table['hardware']}, {table['date']}, crysformer {table['version']}. Rows with +R go on "
        "from the row without, for the same budget again. PC and the first two errors are those of "
        "the map as predicted; the others after alignment of origin and hand.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" + "|---:" * (len(_COLUMNS) - 1) + "|",
        *(_line(row) for row in table["rows"]),
        *(_phasing_line(metrics) for metrics in table["phasing"]),
        "",
    ]
    if table["paper"]:
        lines += [
            "The paper's figures, for its data, training and hardware:",
            "",
            "| row | PC | mean phase error | epochs | minutes an epoch |",
            "|---|---:|---:|---:|---:|",
            *(_paper_line(name, p, table["rows"]) for name, p in table["paper"].items()),
            "",
        ]
    refined = [row for row in table["rows"] if "pc_of_cycles" in row]
    if refined:
        cycles = len(refined[0]["pc_of_cycles"])
        lines += [
            "PC after each cycle of refining (0: the network without an estimate):",
            "",
            "| row | " + " | ".join(str(i) for i in range(cycles)) + " |",
            "|---" + "|---:" * cycles + "|",
            *(
                f"| {row['label']} | "
                + " | ".join(f"{pc:.3f}" for pc in row["pc_of_cycles"])
                + " |"
                for row in refined
            ),
            "",
        ]
    lines += ["Validation PC during training:", "", "| row | examples: PC |", "|---|---|"]
    lines += [_curve(row) for row in table["rows"]]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    cells = (
        row["label"],
        f"{row['pc']:.3f}",
        f"{row['pc_better_hand']:.3f}",
        f"{row['mean_phase_error']:.2f}",
        f"{row['weighted_phase_error']:.2f}",
        f"{row['mean_phase_error_aligned']:.2f}",
        f"{row['solved_share']:.0%}",
        f"{row['examples']:,}",
        f"{row['epochs']:.2f}",
        f"{row['minutes']:.1f}",
        f"{row['examples_per_second']:.1f}",
        f"{row['parameters'] / 1e6:.2f} M",
        f"{row['peak_memory'] / 2**30:.1f} GiB",
        f"{row['training_flop'] / 1e9:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def _phasing_line(metrics: Mapping[str, Any]) -> str:
    cells = [
        f"{metrics['method']}, no training, {metrics['seconds']:.1f} s a crystal",
        f"{metrics['pc']:.3f}",
        f"{metrics['pc_better_hand']:.3f}",
        f"{metrics['mean_phase_error']:.2f}",
        "",
        f"{metrics['mean_phase_error_aligned']:.2f}",
        f"{metrics['solved_share']:.0%}",
    ]
    return "| " + " | ".join(cells + [""] * (len(_COLUMNS) - len(cells))) + " |"


def _paper_line(name: str, published: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    label = next((row["label"] for row in rows if row["name"] == name), name)
    error, minutes = published["mean_phase_error"], published["minutes_per_epoch"]
    return (
        f"| {label} | {published['pc']} | {'' if error is None else error} | "
        f"{published['epochs']} | {'' if minutes is None else f'{minutes:g}'} |"
    )


def _curve(row: Mapping[str, Any]) -> str:
    points = (f"{point['examples']:,}: {point['pc']:.3f}" for point in row["validation"])
    return f"| {row['label']} | {', '.join(points)} |"
