"""Models of right and wrong sequences in right phases, for the verdict on the sequence.

    python benchmarks/sequence_support.py --dipeptide DIR --fifteen DIR --out rows.tsv
    python benchmarks/sequence_support.py --shared DIR --out rows.tsv [--only NAMES]
    python benchmarks/sequence_support.py --fit rows.tsv [more.tsv ...]

The first form takes validation crystals of 2, 5 and 8 residues as `sequence_rows.py` makes them, in
several regimes; the second measured crystals and real packing as `measured_rows.py` does. Each is
given its own sequence; one with a single residue exchanged for another of about its size but
another shape; one with all residues replaced by others of about their size; and its residues in
another order. The backbone starts as the true one, side chains are fitted and everything is refined
as the sequence search does, which gives about what it would find. `sequence_support` then compares
the sequence with others. The third form fits the logistic regression of
`crysformer.phasing.sequence_support.verdict` to the rows with right phases (cosine of at least
0.85), both outcomes with the same weight, and prints its coefficients and the verdicts that fits
give which left the crystal out.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from calibrate_confidence import require_table
from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.logistic import fit_logistic
from crysformer.evaluation.regimes.controls import wrong_sequence
from crysformer.peptide import residues
from crysformer.phasing.budget import Budget
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.sequence_search.group_search import GroupSearch, RatedModel
from crysformer.phasing.sequence_search.side_chain_fit import SideChainSettings, fit_side_chains
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.phasing.sequence_support.support import ALIKE, sequence_support
from crysformer.phasing.sequence_support.verdict import (
    CONTRADICTED,
    REFUTED,
    SUPPORTED,
    SupportFigures,
    features,
)
from crysformer.phasing.settings import SolveSettings
from measured_rows import FAMILIES, entry_of, pose_on
from sequence_rows import Regime, crystal_of, load_tables

REGIMES = (
    Regime("exact", DataQuality()),
    Regime("noisy", DataQuality(amplitude_error=0.1, completeness=0.8)),
    Regime("2.0 A, noisy", DataQuality(d_min=2.0, amplitude_error=0.1)),
    Regime("2.5 A", DataQuality(d_min=2.5)),
    Regime("5 residues", DataQuality(amplitude_error=0.05), length=5),
    Regime("5 residues, 2.0 A", DataQuality(d_min=2.0, amplitude_error=0.1), length=5),
    Regime(
        "5 residues, waters", DataQuality(d_min=1.8, amplitude_error=0.1), length=5, waters=True
    ),
    Regime("8 residues", DataQuality(d_min=1.7, amplitude_error=0.08), length=8),
)
SEARCHED = ("1yjp", "5e5z", "2ol9", "4xfo", "3pzz", "5e5v", "4onk", "4w5y", "5awl")
FIGURES = tuple(field.name for field in fields(SupportFigures))
COLUMNS = [
    *("id", "family", "regime", "given", "true", "sequence", "other", "reflections", "cosine"),
    *FIGURES,
    "cpu_seconds",
]
SIGNS = (-1, 1, -1)
KINDS = ("right", "one exchanged", "alike", "other order")
"""What is given in place of the sequence."""


def model_of(problem: PhasingProblem, structure: gemmi.Structure) -> RatedModel:
    """The model of the problem's sequence on the backbone of a structure."""
    generator = torch.Generator().manual_seed(1)
    deadline = time.monotonic() + 120
    budget = Budget(deadline, deadline, generator)
    search = GroupSearch(problem, problem.data.space_group, SolveSettings().sequence, budget)
    k, target = search.population.kinematics, search.population.target
    pose = pose_on(k, structure, ("N", "CA", "C", "O", "CB", "OXT"))
    settings = SideChainSettings(conformations=24)
    pose = fit_side_chains(k, target, pose, generator, deadline, settings=settings)
    pose, _ = refine_torsions(k, target, pose, Steps(60, 0.05, 0.03, 0.08))
    return search.rated(pose, budget)


def one_exchanged(sequence: str, rng: np.random.Generator) -> str:
    """One residue replaced by one of about its size that is not of the same shape."""
    size = dict(zip(residues.CODES, residues.N_ATOMS.tolist(), strict=True))
    i = int(rng.choice([i for i, letter in enumerate(sequence) if letter != "P"]))
    shape = {code for group in ALIKE if sequence[i] in group for code in group}
    others = [code for code in residues.CODES if code not in shape | {"P", sequence[i]}]
    others = sorted(others, key=lambda code: abs(size[code] - size[sequence[i]]))[:6]
    return sequence[:i] + str(rng.choice(others)) + sequence[i + 1 :]


def given_sequences(
    chains: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(kind, sequences) of what is given for a crystal."""
    yield "right", tuple(chains)
    if "P" in "".join(chains):  # another backbone
        return
    yield "one exchanged", (one_exchanged(chains[0], rng), *chains[1:])
    yield "alike", tuple(wrong_sequence(chain, rng) for chain in chains)
    order = "".join(rng.permutation(list(chains[0])))
    if order != chains[0]:
        yield "other order", (order, *chains[1:])


def rows_of(
    data: CrystalData,
    phi: NDArray[np.float64],
    structure: gemmi.Structure,
    chains: Sequence[str],
    copies: int,
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
) -> Iterator[list[object]]:
    """What follows id, family and regime in the rows of one crystal."""
    for kind, given in given_sequences(chains, rng):
        if kind not in kinds or ("P" in "".join(given) and kind != "right"):
            continue
        try:
            problem = phasing_problem(data, given, copies)
        except CrysformerError as refusal:  # another sequence may be too long for the cell
            print(kind, given, refusal, flush=True)
            continue
        model = model_of(problem, structure).model
        found = np.rad2deg(np.angle(np.nan_to_num(model.F)))
        compared = compare_phases(data.hkl, data.f, found, phi, data.cell, data.space_group)
        begun = time.process_time()
        support = sequence_support(data, model, problem.content.b_iso)
        if support.figures is None:
            continue
        yield [
            *(kind, ",".join(chains), ",".join(given), support.other, int(data.measured.sum())),
            f"{compared.cosine2_aligned:.4f}",
            *(f"{value:.5f}" for value in asdict(support.figures).values()),
            f"{time.process_time() - begun:.2f}",
        ]


def fit(paths: Sequence[Path]) -> None:
    """Fit the regression; print it, and the verdicts of fits that left the crystal out."""
    rows = [row for path in paths for row in csv.DictReader(path.open(), delimiter="\t")]
    rows = [row for row in rows if float(row["cosine"]) >= SOLVED_COSINE]
    figures = [SupportFigures(**{name: float(row[name]) for name in FIGURES}) for row in rows]
    x = np.array([features(one) for one in figures])
    y = np.array([float(row["given"] == "right") for row in rows])
    group = np.array([row["family"] for row in rows])

    def fitted(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Intercept and coefficients, with both outcomes counted alike."""
        good, bad = kept & (y > 0.5), kept & (y < 0.5)
        times = max(1, round(bad.sum() / good.sum()))
        both = np.concatenate((np.flatnonzero(bad), np.repeat(np.flatnonzero(good), times)))
        found = fit_logistic(x[both], y[both], SIGNS)
        return np.array([found.intercept, *found.coefficients])

    p = np.empty(len(y))
    for name in set(group):
        w = fitted(group != name)
        p[group == name] = 1 / (1 + np.exp(-(w[0] + x[group == name] @ w[1:])))
    w = fitted(np.ones(len(y), dtype=bool))
    print("intercept and coefficients:", np.round(w, 3).tolist())
    print("| given | models | supported | neither | refuted |\n|---|---:|---:|---:|---:|")
    for measured in (False, True):
        source = "measured or real packing" if measured else "synthetic"
        for kind in KINDS:
            own = [
                i
                for i, row in enumerate(rows)
                if row["given"] == kind and (row["id"] in FAMILIES) == measured
            ]
            verdicts = Counter(
                "supported"
                if p[i] >= SUPPORTED
                else "refuted"
                if p[i] <= REFUTED and figures[i].least_margin < -CONTRADICTED
                else "neither"
                for i in own
            )
            counts = " | ".join(str(verdicts[v]) for v in ("supported", "neither", "refuted"))
            print(f"| {kind}, {source} | {len(own)} | {counts} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dipeptide", type=Path)
    parser.add_argument("--fifteen", type=Path)
    parser.add_argument("--first", type=int, default=105)
    parser.add_argument("-n", type=int, default=4, help="crystals of each regime (4)")
    parser.add_argument("--shared", type=Path, help="folder of measured crystals")
    parser.add_argument("--only", nargs="+", default=SEARCHED, choices=SEARCHED)
    parser.add_argument("--given", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--regimes", nargs="+", help="only these")
    parser.add_argument("--fit", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("sequence-support-rows.tsv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.fit:
        fit(args.fit)
        return
    require_table(args.out, COLUMNS)
    rng = np.random.default_rng(args.first)
    with args.out.open("a", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        if handle.tell() == 0:
            writer.writerow(COLUMNS)
        if args.shared is not None:
            for name in args.only:
                entry = entry_of(args.shared, name)
                assert entry.structure is not None
                known = (entry.data, entry.phi, entry.structure, entry.sequences, entry.copies)
                for row in rows_of(*known, rng, args.given):
                    writer.writerow([name, FAMILIES[name], "as measured", *row])
                    handle.flush()
        if args.dipeptide is not None:
            tables = load_tables(args.dipeptide, args.fifteen)
            for regime in (r for r in REGIMES if not args.regimes or r.name in args.regimes):
                for number in range(args.first, args.first + args.n):
                    crystal, _, _ = crystal_of(tables[regime.length], regime, number)
                    chains = crystal.sequence.split(",")
                    known = (crystal.data, crystal.phi_true, crystal.structure, chains, 1)
                    for row in rows_of(*known, rng, args.given):
                        entry_id = crystal.id.split("_")[0]
                        writer.writerow([crystal.id, entry_id, regime.name, *row])
                    handle.flush()


if __name__ == "__main__":
    main()
