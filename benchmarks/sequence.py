"""`solve` on synthetic crystals with the sequence search: solved, said to be, and seconds.

    python benchmarks/sequence.py --dipeptide DIR --fifteen DIR [--method sequence] [--limit N]

Crystals and regimes are those of `sequence_rows.py` (validation split; the confidence was fitted to
crystals among the first 44, so that `--first` should lie beyond). Solved means an F^2-weighted
cosine of at least 0.85 to the truth over the measured reflections after alignment of origin and
hand; in controls with shuffled amplitudes there is nothing to solve. What is refused counts as not
solved.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from calibrate_confidence import shuffled_within_shells
from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.errors import InputError
from crysformer.phasing.solver import solve
from sequence_rows import REGIMES, crystal_of, load_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dipeptide", type=Path, required=True)
    parser.add_argument("--fifteen", type=Path, required=True)
    parser.add_argument("--method", default="sequence")
    parser.add_argument("--limit", type=int, default=20, help="crystals of each regime")
    parser.add_argument("--first", type=int, default=50)
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--regime", nargs="+", help="only these")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tables = load_tables(args.dipeptide, args.fifteen)
    print("| data | n | solved | said so | said so and wrong | right hand | mean s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for regime in REGIMES:
        if args.regime and regime.name not in args.regime:
            continue
        found = []
        for i in range(args.first, args.first + args.limit):
            crystal, other, index = crystal_of(tables[regime.length], regime, i)
            data = crystal.data
            if regime.control == "shuffled":
                data = shuffled_within_shells(data, np.random.default_rng(index))
            sequence = other if regime.control == "sequence" else crystal.sequence
            try:
                solution = solve(
                    data, sequence, method=args.method, time_limit=args.time_limit, copies=1
                )
            except InputError as refusal:  # too few amplitudes, or a control that does not fit
                print(f"{crystal.id}: {refusal}", file=sys.stderr)
                found.append((False, False, False, 0.0))
                continue
            compared = compare_phases(
                data.hkl, data.f, solution.phi, crystal.phi_true, data.cell, data.space_group
            )
            right = compared.cosine2_aligned >= SOLVED_COSINE and regime.control != "shuffled"
            found.append((right, solution.solved, not compared.inverted, solution.seconds))
        right, said, hand = (np.array([row[k] for row in found]) for k in range(3))
        print(
            f"| {regime.name} | {len(found)} | {right.sum()} | {said.sum()} | "
            f"{(said & ~right).sum()} | {(hand & right).sum()} | "
            f"{np.mean([row[3] for row in found]):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
