"""Controls of many kinds, made after the confidence was fitted: claims without a structure.

    python benchmarks/new_controls.py --data DIR -o FOLDER [-n 50] [--seed 20] [--budget MINUTES]

DIR is a data set of the recipe fifteen. Extended stretches of its validation split are packed as in
`fibres.py`, in P1, P21, P212121 and, two chains, P1 and P21, measured as in `deposited.py` (6 %
error and more, 6 % missing, bulk solvent) to 0.9, 1.2, 1.6 and 2.0 A in turns. Each crystal gives
two controls: amplitudes shuffled or drawn at random, with the sequence or without; and the measured
amplitudes with a wrong sequence, of which a claim is false if the F-weighted phase error to the
model is above 40 degrees. `--resume` continues.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from atomic_controls import ControlResult, Crystal, controls_of, report
from crysformer.data.molecule import Molecule
from crysformer.data.store import FragmentStore
from crysformer.evaluation.record import Record
from crysformer.phasing.solver import SOLVED
from crysformer.report.hardware import machine
from deposited import Settings, simulate
from fibres import packed, stretches, structure

KINDS = (
    ("P 1 21 1", 1, 4.8, 1),
    ("P 21 21 21", 0, 9.6, 1),
    ("P 1", 0, 4.8, 1),
    ("P 1 21 1", 1, 4.8, 2),
    ("P 1", 0, 9.6, 2),
)
"""Space group, edge that the strands stack along, its length (A), and chains."""
D_MIN = (0.9, 1.2, 1.6, 2.0)
ERROR, MISSING = 0.06, 0.06
RANDOM = (("shuffled", True), ("wilson", True), ("shuffled", False), ("wilson", False))
WRONG = ("wrong-sequence", True)


def make(molecule: Molecule, number: int, seed: int) -> Crystal:
    """Pack and measure crystal `number`; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, number))
    group, axis, repeat, chains = KINDS[number % len(KINDS)]
    d_min = D_MIN[number % len(D_MIN)]
    made = structure(molecule, packed(molecule, chains, group, axis, repeat, rng), group, d_min)
    scale = rng.uniform(0.3, 1.2)  # of B
    for site in made[0].all():
        site.atom.b_iso *= scale * rng.uniform(0.8, 1.3)
    data = simulate(made, f"{molecule.id}", Settings(ERROR, MISSING, d_min, "auto", 0.0, seed))
    return Crystal(number, molecule, made, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a data set of the recipe fifteen")
    parser.add_argument("-n", type=int, default=50, help="crystals, two controls each (50)")
    parser.add_argument("--seed", type=int, default=20, help="of crystals and search (20)")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds of each run (5)")
    parser.add_argument("--budget", type=float, help="minutes after which no crystal is begun")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the record")
    parser.add_argument("--resume", action="store_true", help="continue the record in the folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    deadline = None if args.budget is None else time.monotonic() + 60 * args.budget
    options = {"time_limit": args.time_limit, "seed": args.seed}
    log = Record(args.output, options, args.resume, ControlResult)
    table = FragmentStore.open(args.data).table("validation")
    molecules = stretches(table, np.random.default_rng(args.seed))[: args.n]
    wanted = []
    for number, molecule in enumerate(molecules):
        own = (RANDOM[number // len(KINDS) % len(RANDOM)], WRONG)
        keys = [(number, *control, args.seed) for control in own]
        wanted += keys
        todo = [(control, given) for _, control, given, _ in log.missing(keys)]
        if not todo or (deadline is not None and time.monotonic() > deadline):
            continue
        chains = KINDS[number % len(KINDS)][3]
        crystal = make(molecule, number, args.seed)
        for result in controls_of(crystal, args.seed, todo, args.time_limit, chains):
            log.append(result)
            print(asdict(result), flush=True)
    head = (
        f"{time.strftime('%Y-%m-%d')}. {machine()}. {len(molecules)} crystals, seed {args.seed}, "
        f"{args.time_limit:g} s a run, one thread. Claimed from a confidence of {SOLVED:g}. Made "
        "by `python benchmarks/new_controls.py`, whose head says what is run."
    )
    text = report(list(log.results.values()), head)
    (args.output / "controls.md").write_text(text, encoding="utf-8")
    print(text, f"{len(log.missing(wanted))} of {len(wanted)} left to do", sep="\n")


if __name__ == "__main__":
    main()
