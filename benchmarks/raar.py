"""RAAR beside charge flipping on mostly empty cells: share solved, and seconds.

    python benchmarks/raar.py --data DIR [-n 8] [--limit 40] [--output benchmarks/raar.md]

DIR is a data set of the recipe fifteen; crystals are of its validation split, each searched from
random starts by one method at a time until it is convinced or the limit is over. Seconds are the
processor's, of one thread, so that other work on the machine does not count, and the search's own
clock is the same. A round of starts counts when it has ended. Solved: aligned F^2-weighted cosine
of at least 0.85 to the truth; said so: confidence of at least 0.9.
"""

from __future__ import annotations

import argparse
import datetime
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from crysformer.crystal.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.maps import grid_to_hkl
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic import SyntheticCrystal
from crysformer.evaluation.regimes.crystals import grid_crystal
from crysformer.evaluation.regimes.grid import GridCell
from crysformer.files import atomic_path
from crysformer.phasing.content import cell_content
from crysformer.phasing.problem import phase_problem
from crysformer.phasing.search import Search
from crysformer.phasing.solver import SOLVED
from crysformer.report.hardware import machine

METHODS = ("charge-flipping", "raar")
EARLY = 10.0  # seconds
CELLS = (
    GridCell(15, "rich"),
    GridCell(15, "rich", amplitude_error=0.2),
    GridCell(15, "rich", completeness=0.6),
    GridCell(15, "rich", completeness=0.6, missing="wedge"),
    GridCell(15, "rich", d_min=2.0, amplitude_error=0.2, completeness=0.6),
    GridCell(15, "rich", d_min=3.0),
    GridCell(15, "rich", copies=2),
    GridCell(8, "tight"),
    GridCell(5, "tight"),
    GridCell(2, "tight"),
)


@dataclass(frozen=True)
class Run:
    """One search: when each round ended, and how good its best candidate was then."""

    seconds: list[float]
    cosine: list[float]
    confidence: list[float]

    def solved(self, by: float) -> bool:
        """Whether the best candidate after so many seconds is right."""
        return bool(self._last(self.cosine, by) >= SOLVED_COSINE)

    def said(self, by: float) -> bool:
        """Whether it is called solved then."""
        return bool(self._last(self.confidence, by) >= SOLVED)

    def _last(self, values: list[float], by: float) -> float:
        ended = [v for v, t in zip(values, self.seconds, strict=True) if t <= by]
        return ended[-1] if ended else 0.0


def search(crystal: SyntheticCrystal, method: str, limit: float, seed: int) -> Run:
    """Search one crystal; looking at the truth takes no time of the search."""
    data = crystal.data
    begun = time.monotonic()
    problem = phase_problem(data)
    content = cell_content(data, tuple(crystal.sequence.split(",")), 1)
    run = Run([], [], [])

    def look(search: Search) -> None:
        nonlocal begun
        now = time.monotonic()
        best = search.best[0]
        found = grid_to_hkl(best.F, torch.as_tensor(data.hkl)).numpy()
        compared = compare_phases(
            data.hkl,
            data.f,
            np.rad2deg(np.angle(found)),
            crystal.phi_true,
            data.cell,
            data.space_group,
        )
        run.seconds.append(now - begun)
        run.cosine.append(compared.cosine2_aligned)
        run.confidence.append(best.confidence)
        away = time.monotonic() - now
        begun += away
        search.deadline += away

    generator = torch.Generator().manual_seed(seed)
    Search(problem, content, generator, begun + limit, keep=look).run(limit, method=method)
    return run


def row(cell: GridCell, runs: dict[str, list[Run]], limit: float) -> str:
    values = [cell.name, str(len(runs[METHODS[0]]))]
    for method in METHODS:
        of = runs[method]
        for by in (EARLY, 2 * limit):  # a round under way is waited for
            values.append(str(sum(run.solved(by) for run in of)))
        said = [run.said(2 * limit) for run in of]
        wrong = sum(s and not run.solved(2 * limit) for s, run in zip(said, of, strict=True))
        values += [str(sum(said)), str(wrong), f"{np.mean([run.seconds[-1] for run in of]):.1f}"]
    return "| " + " | ".join(values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="data set of the recipe fifteen")
    parser.add_argument("-n", type=int, default=8, help="crystals of each kind")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds for each search")
    parser.add_argument("--cells", nargs="+", help="only these")
    parser.add_argument("--output", type=Path, help="also write the report here (Markdown)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    time.monotonic = time.process_time  # the searches' clock, too
    table = FragmentStore.open(args.data).table("validation")
    columns = " | ".join(
        f"{m} {EARLY:g} s | {args.limit:g} s | said so | wrongly | mean s" for m in METHODS
    )
    lines = [
        "# RAAR beside charge flipping",
        "",
        f"{datetime.date.today()}. {machine()}. One thread, processor time.",
        f"`python benchmarks/raar.py -n {args.n} --limit {args.limit:g}`; its head says what the",
        "columns mean, docs/benchmarks.md what the names do.",
        "",
        f"| crystals | n | {columns} |",
        "|---|" + "---:|" * (1 + 5 * len(METHODS)),
    ]
    print("\n".join(lines), flush=True)
    for cell in CELLS:
        if args.cells and cell.name not in args.cells:
            continue
        runs: dict[str, list[Run]] = {method: [] for method in METHODS}
        for number in range(args.n):
            crystal = grid_crystal(table, cell, number, seed=0)
            for method in METHODS:
                runs[method].append(search(crystal, method, args.limit, number))
        lines.append(row(cell, runs, args.limit))
        print(lines[-1], flush=True)
    if args.output:
        with atomic_path(args.output) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
