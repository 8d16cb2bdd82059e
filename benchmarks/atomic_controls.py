"""Controls at atomic resolution: claims of the solver where there is nothing to solve.

    python benchmarks/atomic_controls.py --data DIR -o FOLDER [-n 12] [--seeds 3] [--budget MINUTES]

DIR is a data set of the recipe fifteen. Extended stretches of 5 to 8 residues of its validation
split are packed in P1, P21 and P212121 as in `fibres.py`, with B of 2 to 6 A^2, and measured as in
`deposited.py` (5 % error, 5 % missing) to 0.85, 1.0 and 1.2 A in turns. Each crystal is made
unsolvable in three ways (`evaluation.regimes.controls`):

- shuffled: amplitudes permuted among reflections of about the same resolution,
- wilson: amplitudes drawn from acentric Wilson statistics with the mean intensities of the shells,
- wrong-sequence: the amplitudes as they are, every residue replaced by one of about its size.

`crysformer.solve` gets the first two without and with the sequence, the third with the wrong one.
A claim on random amplitudes is false; one on a wrong sequence is false if the F-weighted phase
error to the model is above 40 degrees, since amplitudes at atomic resolution may be solved in spite
of it. One line a run is recorded in FOLDER/results.jsonl; the same command with --resume continues,
so that it can be run in pieces (--budget). Writes FOLDER/controls.md: runs, claims, false claims
with their one-sided 95 % bound, and the highest confidence.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_PHASE_ERROR, compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.data.molecule import Molecule
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError
from crysformer.evaluation.calibration import upper_bound
from crysformer.evaluation.deposited_models import model_phases
from crysformer.evaluation.record import Record
from crysformer.evaluation.regimes.controls import (
    shuffled_within_shells,
    wilson_random,
    wrong_sequence,
)
from crysformer.files import atomic_path
from crysformer.phasing.solver import SOLVED, solve
from crysformer.report.hardware import machine
from deposited import Settings, simulate
from fibres import packed, stretches, structure

KINDS = (("P 1", 0, 4.8), ("P 1 21 1", 1, 4.8), ("P 21 21 21", 0, 9.6))
"""Space group, which edge the strands stack along, and its length (A)."""
D_MIN = (0.85, 1.0, 1.2)
B_RANGE = (2.0, 6.0)
STARTS = 2
CONTROLS = (
    ("shuffled", False),
    ("shuffled", True),
    ("wilson", False),
    ("wilson", True),
    ("wrong-sequence", True),
)
"""Kind of control, and whether the solver gets a sequence."""


@dataclass(frozen=True)
class ControlResult:
    """One run of the solver on a control."""

    crystal: int
    control: str
    sequence_given: bool
    seed: int
    space_group: str
    d_min: float
    reflections: int
    sequence: str
    status: str
    claimed: bool = False
    confidence: float = 0.0
    method: str = ""
    weighted_phase_error: float | None = None
    cpu_seconds: float = 0.0
    message: str = ""

    @property
    def key(self) -> tuple[int, str, bool, int]:
        """Crystal, control and seed."""
        return self.crystal, self.control, self.sequence_given, self.seed

    @property
    def false_claim(self) -> bool:
        """True if the solver claimed random amplitudes or wrong phases."""
        error = self.weighted_phase_error
        return self.claimed and (error is None or error > SOLVED_PHASE_ERROR)


@dataclass(frozen=True)
class Crystal:
    """A packed crystal and its measured amplitudes."""

    number: int
    molecule: Molecule
    structure: gemmi.Structure
    data: CrystalData


def make(molecule: Molecule, number: int, seed: int) -> Crystal:
    """Pack and measure crystal `number`; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, number))
    group, axis, repeat = KINDS[number % len(KINDS)]
    d_min = D_MIN[number // len(KINDS) % len(D_MIN)]
    tries = (packed(molecule, 1, group, axis, repeat, rng) for _ in range(STARTS))
    made = structure(molecule, min(tries, key=lambda one: one.cost), group, d_min)
    for site in made[0].all():
        site.atom.b_iso = rng.uniform(*B_RANGE)
    data = simulate(made, f"{molecule.id}", Settings(0.05, 0.05, d_min, "auto", 0.0, seed))
    return Crystal(number, molecule, made, data)


def controls_of(
    crystal: Crystal,
    seed: int,
    todo: Sequence[tuple[str, bool]],
    time_limit: float,
    copies: int = 1,
) -> Iterator[ControlResult]:
    """Run the solver on the controls of one crystal with one seed."""
    for control, given in todo:
        # the same amplitudes without and with the sequence
        rng = np.random.default_rng((seed, crystal.number, 1 + len(control)))
        data, sequence = crystal.data, crystal.molecule.sequence
        if control == "shuffled":
            data = shuffled_within_shells(data, rng)
        elif control == "wilson":
            data = wilson_random(data, rng)
        else:
            sequence = wrong_sequence(sequence, rng)
        blank = ControlResult(
            crystal.number, control, given, seed, data.space_group.xhm(), round(data.d_min, 3),
            int(data.measured.sum()), sequence, "done",
        )  # fmt: skip
        begun = time.process_time()
        try:
            found = solve(
                data, sequence if given else None, copies=copies if given else None,
                time_limit=time_limit, seed=seed, device="cpu",
            )  # fmt: skip
        except CrysformerError as refusal:
            yield replace(blank, status="refused", message=str(refusal))
            continue
        error = None
        if control == "wrong-sequence":
            true = model_phases(crystal.structure, data.hkl, data.d_min)
            compared = compare_phases(
                data.hkl, data.f, found.phi, true, data.cell, data.space_group
            )
            error = round(compared.weighted_aligned, 2)
        yield replace(
            blank,
            claimed=found.solved,
            confidence=round(found.confidence, 4),
            method=found.method,
            weighted_phase_error=error,
            cpu_seconds=round(time.process_time() - begun, 2),
        )


def report(results: Sequence[ControlResult], head: str) -> str:
    """Format the table as Markdown."""
    lines = ["# Controls at atomic resolution", "", head, ""]
    lines += [
        "| control | sequence | space group | runs | claims | false | 95 % bound | highest "
        "confidence (false or not claimed) | CPU s each |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    done = [r for r in results if r.status == "done"]
    groups = dict.fromkeys((r.control, r.sequence_given, r.space_group) for r in done)
    for control, given, group in sorted(groups):
        rows = [
            r
            for r in done
            if (r.control, r.sequence_given, r.space_group) == (control, given, group)
        ]
        lines.append(_row(f"{control} | {'given' if given else 'not given'} | {group}", rows))
    for name, rows in (
        ("random amplitudes | both | all", [r for r in done if r.control != "wrong-sequence"]),
        ("all | both | all", done),
    ):
        if rows:
            lines.append(_row(name, rows))
    refused = [r for r in results if r.status == "refused"]
    if refused:
        lines += ["", f"Refused: {len(refused)}, first: {refused[0].message}"]
    return "\n".join(lines) + "\n"


def _row(name: str, rows: Sequence[ControlResult]) -> str:
    false = sum(r.false_claim for r in rows)
    wrong = [r.confidence for r in rows if r.false_claim or not r.claimed]
    return (
        f"| {name} | {len(rows)} | {sum(r.claimed for r in rows)} | {false} | "
        f"{upper_bound(false, len(rows)):.1%} | {max(wrong, default=0.0):.2f} | "
        f"{np.mean([r.cpu_seconds for r in rows]):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a data set of the recipe fifteen")
    parser.add_argument("-n", type=int, default=9, help="crystals, space groups in turns (9)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to N - 1 (1)")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds of each run (10)")
    parser.add_argument("--budget", type=float, help="minutes after which no run is begun")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the record")
    parser.add_argument("--resume", action="store_true", help="continue the record in the folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    deadline = None if args.budget is None else time.monotonic() + 60 * args.budget
    log = Record(args.output, {"time_limit": args.time_limit}, args.resume, ControlResult)
    table = FragmentStore.open(args.data).table("validation")
    chains = stretches(table, np.random.default_rng(0))[: args.n]
    wanted = [
        (number, *control, seed)
        for seed in range(args.seeds)
        for number in range(len(chains))
        for control in CONTROLS
    ]
    missing = log.missing(wanted)
    for seed in range(args.seeds):
        for number, molecule in enumerate(chains):
            todo = [(c, g) for k, c, g, s in missing if (k, s) == (number, seed)]
            if not todo or (deadline is not None and time.monotonic() > deadline):
                continue
            for result in controls_of(make(molecule, number, seed), seed, todo, args.time_limit):
                log.append(result)
                print(asdict(result), flush=True)
                if deadline is not None and time.monotonic() > deadline:
                    break
    head = (
        f"{time.strftime('%Y-%m-%d')}. {machine()}. {args.n} crystals, {args.seeds} seeds, "
        f"{args.time_limit:g} s a run, one thread. Claimed from a confidence of {SOLVED:g}. Made "
        "by `python benchmarks/atomic_controls.py`, whose head says what is run."
    )
    text = report(list(log.results.values()), head)
    with atomic_path(args.output / "controls.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, f"{len(log.missing(wanted))} of {len(wanted)} left to do", sep="\n")


if __name__ == "__main__":
    main()
