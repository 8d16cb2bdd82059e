"""Candidates of the sequence search on crystals with known answer, for its confidence.

    python benchmarks/sequence_rows.py --dipeptide DIR --fifteen DIR --out rows.tsv

Validation crystals by the dipeptide recipe, and windows of 5 and 8 residues of the 15-residue
fragments in cells built the same way, in several regimes; controls are searched with the sequence
of another crystal, or have amplitudes shuffled within shells of resolution. Some crystals hold
waters and a spread of B that no model has. Each candidate of each turn gives a row: figures of
merit, the aligned F^2-weighted cosine to the truth, and whether the hand had to be inverted for
it. `benchmarks/calibrate_confidence.py --fit` fits the confidence. The rows in `sequence-rows.tsv`
are of the crystals 0 to 7 (the oldest), 20 to 43 of the dipeptides with few amplitudes, and 20 to
24 of 5 and 8 residues.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from calibrate_confidence import COLUMN_OF, require_table
from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.data.recipe import DIPEPTIDE, Recipe
from crysformer.data.store import FragmentStore, FragmentTable
from crysformer.data.synthetic.p1_crystal import single
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import InputError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.regimes.controls import shuffled_within_shells
from crysformer.peptide import residues
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.origin.chirality import HandEvidence
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.sequence_search.method import SequenceSearch
from crysformer.phasing.settings import SolveSettings

FIGURES = (
    *("r", "correlation", "overlap", "gap", "free_z", "reflections_per_parameter", "noise"),
    "hand",
)


@dataclass(frozen=True)
class Regime:
    """Quality of the data, and the sequence and time given to the search."""

    name: str
    quality: DataQuality = field(default_factory=DataQuality)
    length: int = 2
    control: str = ""
    seconds: float = 2.0
    waters: bool = False


REGIMES = (
    Regime("noisy", DataQuality(amplitude_error=0.1, completeness=0.8)),
    Regime("2.5 A", DataQuality(d_min=2.5)),
    Regime("2.5 A noisy", DataQuality(d_min=2.5, amplitude_error=0.1, completeness=0.9)),
    Regime("very noisy 2.0 A", DataQuality(d_min=2.0, amplitude_error=0.2, completeness=0.6)),
    # Some dozens of amplitudes, which a wrong model may fit.
    Regime("few 2.5 A", DataQuality(d_min=2.5, amplitude_error=0.1, completeness=0.6), seconds=6.0),
    Regime(
        "few noisy 2.5 A",
        DataQuality(d_min=2.5, amplitude_error=0.2, completeness=0.6),
        seconds=6.0,
    ),
    Regime(
        "few noisy 2.0 A, other sequence",
        DataQuality(d_min=2.0, amplitude_error=0.2, completeness=0.6),
        control="sequence",
        seconds=6.0,
    ),
    Regime(
        "few noisy 2.5 A, other sequence",
        DataQuality(d_min=2.5, amplitude_error=0.2, completeness=0.6),
        control="sequence",
        seconds=6.0,
    ),
    Regime(
        "noisy, other sequence",
        DataQuality(amplitude_error=0.1, completeness=0.8),
        control="sequence",
    ),
    Regime(
        "noisy, shuffled", DataQuality(amplitude_error=0.1, completeness=0.8), control="shuffled"
    ),
    Regime(
        "2.0 A, other sequence", DataQuality(d_min=2.0, amplitude_error=0.05), control="sequence"
    ),
    Regime("2.5 A, other sequence", DataQuality(d_min=2.5), control="sequence"),
    Regime("2.5 A, shuffled", DataQuality(d_min=2.5), control="shuffled"),
    Regime(
        "few noisy 2.5 A, shuffled",
        DataQuality(d_min=2.5, amplitude_error=0.2, completeness=0.6),
        control="shuffled",
        seconds=6.0,
    ),
    Regime(
        "few, 5 residues",
        DataQuality(d_min=2.5, amplitude_error=0.1, completeness=0.8),
        length=5,
        seconds=25.0,
    ),
    Regime(
        "few, 5 residues, other sequence",
        DataQuality(d_min=2.5, amplitude_error=0.1, completeness=0.8),
        length=5,
        control="sequence",
        seconds=20.0,
    ),
    Regime("5 residues", DataQuality(amplitude_error=0.05), length=5, seconds=25.0),
    Regime(
        "5 residues, other sequence",
        DataQuality(amplitude_error=0.05),
        length=5,
        control="sequence",
        seconds=20.0,
    ),
    Regime(
        "5 residues, shuffled",
        DataQuality(amplitude_error=0.05),
        length=5,
        control="shuffled",
        seconds=15.0,
    ),
    Regime(
        "5 residues 2.0 A",
        DataQuality(d_min=2.0, amplitude_error=0.1, completeness=0.9),
        length=5,
        seconds=25.0,
    ),
    Regime("8 residues", DataQuality(amplitude_error=0.05), length=8, seconds=60.0),
    Regime(
        "8 residues, other sequence",
        DataQuality(amplitude_error=0.05),
        length=8,
        control="sequence",
        seconds=30.0,
    ),
    Regime(
        "5 residues, waters", DataQuality(amplitude_error=0.1), length=5, seconds=25.0, waters=True
    ),
    Regime(
        "5 residues, waters, 2.0 A",
        DataQuality(d_min=2.0, amplitude_error=0.1),
        length=5,
        seconds=25.0,
        waters=True,
    ),
    Regime(
        "5 residues, waters, other sequence",
        DataQuality(amplitude_error=0.1),
        length=5,
        control="sequence",
        seconds=20.0,
        waters=True,
    ),
    Regime("dipeptides, waters", DataQuality(amplitude_error=0.1, completeness=0.9), waters=True),
    Regime(
        "dipeptides, waters, other sequence",
        DataQuality(amplitude_error=0.1, completeness=0.9),
        control="sequence",
        waters=True,
    ),
)


def windows(table: FragmentTable, length: int) -> FragmentTable:
    """The first `length` residues of each fragment."""
    rows = [
        np.arange(table.offset[i], table.offset[i] + residues.N_ATOMS[codes[:length]].sum())
        for i, codes in enumerate(table.codes)
    ]
    return replace(
        table,
        xyz=table.xyz[np.concatenate(rows)],
        offset=np.concatenate(([0], np.cumsum([len(r) for r in rows]))),
        sequence=[s[:length] for s in table.sequence],
    )


def tight_recipe(regime: Regime) -> Recipe:
    """The dipeptide recipe's cells for longer fragments, wider where there are waters."""
    recipe = replace(DIPEPTIDE, name=f"tight-{regime.length}", n_residues=regime.length)
    return replace(recipe, min_contact=3.4) if regime.waters else recipe


def with_waters(crystal: SyntheticCrystal, regime: Regime, seed: int) -> SyntheticCrystal:
    """Add waters, and replace the common B of the atoms by a spread of B.

    Waters are placed at random at least 2.6 A from other atoms, at most one for ten atoms.
    """
    rng = np.random.default_rng(seed)
    cell, data = crystal.data.cell, crystal.data
    sites = [site.atom for site in crystal.structure[0].all()]
    orth = np.array(cell.orth.mat.tolist())
    frac = np.array([atom.pos.tolist() for atom in sites]) @ np.linalg.inv(orth).T
    number = [atom.element.atomic_number for atom in sites]
    b_iso = list(20.0 * np.exp(0.35 * rng.standard_normal(len(sites))))
    for place in rng.random((3000, 3)):
        d = frac - place
        if np.linalg.norm((d - np.round(d)) @ orth.T, axis=1).min() > 2.6:
            frac = np.vstack((frac, place))
            number.append(8)
            b_iso.append(rng.uniform(20, 45))
        if len(frac) >= 1.1 * len(sites):
            break
    atoms = AtomBatch(
        frac=torch.from_numpy(frac)[None],
        number=torch.tensor(number)[None],
        b_iso=torch.tensor(b_iso)[None],
        occupancy=torch.ones((1, len(frac)), dtype=torch.float64),
    )
    F = structure_factors(atoms, torch.from_numpy(orth), torch.from_numpy(data.hkl))[0].numpy()
    f = np.abs(F) * np.maximum(1 + regime.quality.amplitude_error * rng.standard_normal(len(F)), 0)
    f[~data.measured] = np.nan
    sigf = regime.quality.amplitude_error * np.maximum(f, 0.1 * np.sqrt(np.nanmean(f**2)))
    return replace(crystal, data=replace(data, f=f, sigf=sigf), phi_true=np.rad2deg(np.angle(F)))


def load_tables(dipeptide: Path, fifteen: Path) -> dict[int, FragmentTable]:
    """Validation fragments by their number of residues."""
    longer = FragmentStore.open(fifteen).table("validation")
    return {
        2: FragmentStore.open(dipeptide).table("validation"),
        5: windows(longer, 5),
        8: windows(longer, 8),
    }


def crystal_of(
    table: FragmentTable, regime: Regime, number: int
) -> tuple[SyntheticCrystal, str, int]:
    """A crystal drawn at random, the sequence of another one, and its index."""
    chosen = np.random.default_rng(regime.length).permutation(len(table))
    index, other = int(chosen[number]), table.sequence[int(chosen[-1 - number])]
    recipe = tight_recipe(regime)
    rng = np.random.default_rng((0, index))
    crystal = regime.quality.measure(single(table.molecule(index), recipe), rng, recipe.sample_rate)
    if regime.waters:
        crystal = with_waters(crystal, regime, index)
    return crystal, other, index


def rows_of(
    crystal: SyntheticCrystal, other: str, regime: Regime, seed: int
) -> list[tuple[float, Candidate, float, bool]]:
    """(seconds, candidate, aligned cosine, inverted) of every model of every turn."""
    data = crystal.data
    if regime.control == "shuffled":
        data = shuffled_within_shells(data, np.random.default_rng(seed))
    sequence = other if regime.control == "sequence" else crystal.sequence
    problem = phasing_problem(data, (sequence,), 1)
    begun = time.monotonic()
    deadline = begun + 4 * regime.seconds
    generator = torch.Generator().manual_seed(seed)
    method = SequenceSearch(problem, SolveSettings())
    rows: list[tuple[float, Candidate, float, bool]] = []
    seconds = itertools.count(1.0)  # of each turn
    while (now := time.monotonic()) - begun < regime.seconds:
        for candidate in method.advance(Budget(now + next(seconds), deadline, generator)):
            model = candidate.peptide
            if model is None:  # free atoms
                continue
            compared = compare_phases(
                data.hkl,
                data.f,
                np.rad2deg(np.angle(model.F)),
                crystal.phi_true,
                data.cell,
                data.space_group,
            )
            # A similar sequence may well phase the crystal.
            cosine = compared.cosine2_aligned if regime.control != "shuffled" else 0.0
            rows.append((time.monotonic() - begun, candidate, cosine, compared.inverted))
    return rows


def values_of(candidate: Candidate) -> list[float]:
    """Values of the columns `FIGURES`."""
    found = {COLUMN_OF.get(name, name): x for name, x in asdict(candidate.figures).items()}
    found["hand"] = HandEvidence(candidate.hand_log_odds, 0).probability
    return [found[name] for name in FIGURES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dipeptide", type=Path, required=True)
    parser.add_argument("--fifteen", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=8, help="crystals of each regime")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--regime", nargs="+", help="only these")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tables = load_tables(args.dipeptide, args.fifteen)
    columns = ["recipe", "id", "regime", "kind", "seconds", *FIGURES, "cosine", "inverted"]
    require_table(args.out, columns)
    new = not args.out.exists()
    with args.out.open("a", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t")
        if new:
            writer.writerow(columns)
        for regime in REGIMES:
            if args.regime and regime.name not in args.regime:
                continue
            for i in range(args.first, args.first + args.limit):
                crystal, other, index = crystal_of(tables[regime.length], regime, i)
                try:
                    rows = rows_of(crystal, other, regime, index)
                except InputError as refusal:  # another sequence may be too long for the cell
                    if regime.control != "sequence":
                        raise
                    print(f"{regime.name:28s} {crystal.sequence} {refusal}", flush=True)
                    continue
                for seconds, candidate, cosine, inverted in rows:
                    values = [f"{value:.5f}" for value in values_of(candidate)]
                    writer.writerow(
                        [
                            *(f"tight-{regime.length}", crystal.id, regime.name, "sequence"),
                            *(f"{seconds:.2f}", *values, f"{cosine:.4f}", int(inverted)),
                        ]
                    )
                handle.flush()
                best = max(rows, key=lambda row: asdict(row[1].figures)["correlation"])
                print(
                    f"{regime.name:28s} {crystal.sequence} {best[0]:6.1f} s  cosine {best[2]:.3f} "
                    + " ".join(f"{k} {v:.3f}" for k, v in asdict(best[1].figures).items()),
                    flush=True,
                )


if __name__ == "__main__":
    main()
