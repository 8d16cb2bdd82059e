"""RAAR beside charge flipping on mostly empty cells: share solved, and seconds.

    python benchmarks/raar.py --data DIR [-n 8] [--limit 40] [--output benchmarks/raar.md]

DIR is a data set of the recipe fifteen; crystals are of its validation split, each searched from
random starts by one method at a time, until the best candidate of a round is right (aligned
F^2-weighted cosine of at least 0.85 to the truth, which the search does not see) or the limit is
over. Seconds are the processor's, of one thread, so that other work on the machine does not count,
and the search's own clock is the same. A crystal that is not solved counts with the limit.
"""

from __future__ import annotations

import argparse
import datetime
import math
import time
from pathlib import Path

import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.data.dataset.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.regimes.grid import GridCell
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.files import atomic_path
from crysformer.phasing.candidate_pool import Search
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.p1_grid import p1_grid
from crysformer.report.hardware import machine

METHODS = ("charge-flipping", "raar")
EARLY = 10.0  # seconds
CELLS = (
    GridCell(15, "rich", d_min=3.0),
    GridCell(15, "rich", copies=2),
    GridCell(15, "rich", completeness=0.6, missing="wedge"),
    GridCell(15, "rich", amplitude_error=0.2),
    GridCell(15, "rich", completeness=0.6),
    GridCell(15, "rich"),
    GridCell(5, "tight"),
    GridCell(8, "tight"),
    GridCell(2, "tight"),
    GridCell(15, "rich", d_min=2.0, amplitude_error=0.2, completeness=0.6),
)


def seconds_to_solve(
    crystal: SyntheticCrystal, method: str, limit: float, seed: int
) -> float | None:
    """Seconds until the best candidate is right; None if it is not within the limit."""
    data = crystal.data
    begun = time.monotonic()
    problem = p1_grid(data)
    content = cell_content(data, tuple(crystal.sequence.split(",")), 1)

    away = 0.0  # looking at the truth takes no time of the search
    found: float | None = None

    def look(search: Search) -> None:
        nonlocal away, found
        now = time.monotonic()
        best = grid_to_hkl(search.best[0].F, torch.as_tensor(data.hkl)).numpy()
        phi = np.rad2deg(np.angle(best))
        compared = compare_phases(
            data.hkl, data.f, phi, crystal.phi_true, data.cell, data.space_group
        )
        if compared.cosine2_aligned >= SOLVED_COSINE:
            found = now - begun - away
        away += time.monotonic() - now
        search.deadline = begun + away + limit
        search.best.clear()  # a wrong candidate that convinces must not end the search

    generator = torch.Generator().manual_seed(seed)
    search = Search(problem, content, generator, begun + limit, keep=look)
    while found is None and time.monotonic() < search.deadline:
        search.run(limit, rounds=1, method=method)
    return found


def row(cell: GridCell, times: dict[str, list[float | None]], limit: float) -> str:
    values = [cell.name, str(len(times[METHODS[0]]))]
    for method in METHODS:
        of = [math.inf if t is None else t for t in times[method]]
        values += [str(sum(t <= by for t in of)) for by in (EARLY, 2 * limit)]
        values.append(f"{np.mean([min(t, limit) for t in of]):.1f}")
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
    columns = " | ".join(f"{m} {EARLY:g} s | {args.limit:g} s | mean s" for m in METHODS)
    lines = [
        "# RAAR beside charge flipping",
        "",
        f"{datetime.date.today()}. {machine()}. One thread, processor time.",
        f"`python benchmarks/raar.py -n {args.n} --limit {args.limit:g}`; its head says what the",
        "columns mean, docs/benchmarks.md what the names do.",
        "",
        f"| crystals | n | {columns} |",
        "|---|" + "---:|" * (1 + 3 * len(METHODS)),
    ]
    print("\n".join(lines), flush=True)
    for cell in CELLS:
        if args.cells and cell.name not in args.cells:
            continue
        times: dict[str, list[float | None]] = {method: [] for method in METHODS}
        for number in range(args.n):
            crystal = grid_crystal(table, cell, number, seed=0)
            for method in METHODS:
                times[method].append(seconds_to_solve(crystal, method, args.limit, number))
        lines.append(row(cell, times, args.limit))
        print(lines[-1], flush=True)
    if args.output:
        with atomic_path(args.output) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
