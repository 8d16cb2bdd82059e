"""Candidates of measured crystals and of real packing, for the confidence.

    python benchmarks/measured_rows.py --shared DIR --out rows.tsv [--only NAMES] [--seconds S]

DIR holds `peptides/`, `peptides/packed/` and `experimental/`. Measured crystals with a deposited
model are taken as they are, cut to lower resolution, with an error added, and with amplitudes
shuffled or drawn at random; crystals of which only the packing is known (`peptides/packed`) are
measured as in `deposited.py`, with B of 4 to 15 A^2 and waters left out. Gly-Ala, of which there is
no model, is compared with the atoms of its own solution at 0.65 A. Each gives

- density and atoms: one batch of charge flipping or RAAR, what density modification makes of the
  true phases with large random errors, and atoms refined from the best of both;
- peptide models (up to two chains of 12 residues): the best of a short search from random poses,
  without and with the deposited conformation among them, and of a search with a wrong sequence.

A row has the figures of merit of a candidate, the aligned F^2-weighted cosine to the truth, the
crystal and its family: crystals of one family share a stretch of sequence, or are variants of one
design, and are left out of a fit together (`calibrate_confidence.py --leave-out`).
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from calibrate_confidence import COLUMN_OF, require_table
from crysformer.crystal.comparison.compare import PhaseComparison, compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError
from crysformer.evaluation.deposited_models import model_phases, protein_chains, read_model
from crysformer.evaluation.regimes.controls import (
    shuffled_within_shells,
    wilson_random,
    wrong_sequence,
)
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.peptide.rotatable_bonds import dihedral
from crysformer.phasing.atoms.atomic_candidates import AtomSettings, atomic_candidates
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.fragments.completion import complete_structure
from crysformer.phasing.merit.confidence import kind_of
from crysformer.phasing.merit.figures import AtomFigures, SequenceFigures
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.random_starts.method import ChargeFlipping, Raar
from crysformer.phasing.sequence_search.group_search import GroupSearch
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.solver import solve
from deposited import Settings, simulate

FAMILIES = {
    "1byz": "alpha-1", "1yjp": "GNNQQNY", "2ol9": "SNQNNF", "5e5z": "IAPP", "5e5v": "IAPP",
    "glyala": "Gly-Ala", "5awl": "chignolin", "2ona": "MVGGVV", "4uby": "GGYxLG", "4w5y": "GYMLGSA",
    "2omq": "VEALYL", "2y3j": "amyloid-beta 30", "3pzz": "amyloid-beta 30",
    "3ovj": "amyloid-beta 16", "4onk": "YVVFL", "4xfo": "TAVVTN",
}  # fmt: skip
MEASURED = ("1byz", "1yjp", "2ol9", "5e5z", "glyala", "5awl", "2ona")
CUTS = (0.95, 1.15, 1.5, 2.0)  # A
FIGURES = tuple(
    dict.fromkeys(
        COLUMN_OF.get(field.name, field.name)
        for figures in (AtomFigures, SequenceFigures)
        for field in fields(figures)
    )
)
COLUMNS = ["source", "family", "id", "regime", "d_min", "kind", *FIGURES, "cosine"]
MOST_ATOMS = 250  # in the cell, of refined atoms
STARTS = (30, 50, 65)  # degrees, mean errors of the phases that density modification starts from
NOISE, FEWEST = 0.1, 60  # added to amplitudes; reflections of a cut that is taken
KEPT = 4  # candidates of a batch, those of lowest R
LARGE = 8000  # reflections from which a crystal gets few of the regimes


@dataclass(frozen=True)
class Entry:
    """A crystal, its true phases, and the conformation of its chains if that is known."""

    name: str
    measured: bool
    data: CrystalData
    phi: NDArray[np.float64]
    sequences: list[str]
    copies: int
    structure: gemmi.Structure | None


def entry_of(shared: Path, name: str) -> Entry:
    """Read or simulate one crystal."""
    if name == "glyala":
        data = read_crystal(shared / "peptides" / "glyala.mtz")
        found = solve(data, "GA", copies=1, time_limit=60, device="cpu")
        assert found.solved, "Gly-Ala"
        assert found.atoms is not None
        assert found.atoms.r < 0.08
        return Entry(name, True, data, found.phi, ["GA"], 1, None)
    if name in MEASURED:
        folder = next(shared / f for f in ("peptides", "experimental") if _has(shared / f, name))
        reflections = next(folder.glob(f"{name}*.mtz"), None) or folder / f"{name}-sf.cif.gz"
        data = read_crystal(reflections)
        model = next(p for p in folder.glob(f"{name}.*.gz"))
        structure = read_model(model)
        structure.cell, structure.spacegroup_hm = data.cell, data.space_group.xhm()
        structure.setup_cell_images()
    else:
        structure = read_model(shared / "peptides" / "packed" / f"{name}.pdb.gz")
        structure.remove_hydrogens()
        rng = np.random.default_rng(len(name) + ord(name[-1]))
        for site in structure[0].all():
            site.atom.b_iso = rng.uniform(4, 15)
        structure.spacegroup_hm = "P 1"
        data = simulate(structure, name, Settings(0.06, 0.05, 1.2, "auto", 0.0, 1))
    phi = model_phases(structure, data.hkl, data.d_min)
    sequences, copies = protein_chains(structure)
    if not "".join(sequences):
        polymers = [chain.get_polymer() for chain in structure[0]]
        sequences = [p.make_one_letter_sequence().replace("-", "") for p in polymers if len(p)]
        copies = 1
    return Entry(name, name in MEASURED, data, phi, sequences, copies, structure)


def _has(folder: Path, name: str) -> bool:
    return any(folder.glob(f"{name}.*"))


def regimes(entry: Entry) -> Iterator[tuple[str, CrystalData, NDArray[np.float64], bool]]:
    """(name, data, true phases, random) of what is made of the measurement of a crystal."""
    data, phi = entry.data, entry.phi
    rng = np.random.default_rng(7)
    yield "as measured", data, phi, False
    yield "shuffled", shuffled_within_shells(data, rng), phi, True
    large = len(data) > LARGE
    if not large:
        yield "wilson", wilson_random(data, rng), phi, True
    cuts = [cut for cut in CUTS if cut > 1.1 * data.d_min]
    for i, cut in enumerate(cuts[:1] if large else cuts):
        kept = data.d >= cut
        less = data.select(kept)
        if int(less.measured.sum()) < FEWEST:
            continue
        if i % 2:
            yield f"{cut:g} A", less, phi[kept], False
            continue
        noisy = replace(less, f=less.f * np.maximum(1 + NOISE * rng.standard_normal(len(less)), 0))
        added = NOISE * np.maximum(less.f, 0.1 * np.nanmean(less.f))
        noisy = replace(noisy, sigf=np.hypot(added, 0.0 if less.sigf is None else less.sigf))
        yield f"{cut:g} A, noise", noisy, phi[kept], False
        yield f"{cut:g} A, shuffled", shuffled_within_shells(noisy, rng), phi[kept], True


def by_density(
    problem: PhasingProblem, phi: NDArray[np.float64], seed: int, started: bool, seconds: float
) -> list[Candidate]:
    """Candidates of random starts, of the true phases with errors, and atoms of the best."""
    generator = torch.Generator().manual_seed(seed)
    until = time.monotonic() + seconds
    budget = Budget(until, until, generator)
    atomic = problem.data.d_min <= 1.2
    pool = (ChargeFlipping if atomic else Raar)(problem, SolveSettings()).advance(budget)
    pool = sorted((c for c in pool if c.atoms is None), key=lambda c: c.figures.r)[:KEPT]
    starts = [max(pool, key=lambda c: c.confidence)]
    if started:
        rng = np.random.default_rng(seed)
        grid = problem.grid
        batch = []
        for mean in STARTS:
            # mean |error| of a wrapped normal of this spread, by trial
            spread = np.interp(mean, [0, 40, 60, 70, 80, 85, 89], [0, 51, 82, 101, 131, 156, 220])
            phases = np.deg2rad(phi + rng.normal(0, spread, len(phi)))
            f = np.nan_to_num(problem.data.f)
            F_true = np.asarray(f * np.exp(1j * phases), dtype=np.complex128)
            batch.append(problem.expand(F_true))
        F = torch.stack(batch)
        fraction = float(positive_fractions(problem, 8, generator).median())
        rounds, b_iso = ((len(F), 60),), problem.content.b_iso
        deadline = time.monotonic() + seconds
        F, _ = complete_structure(grid, F, fraction, b_iso, rounds, generator, deadline)
        fractions = torch.full((len(F),), fraction)
        made = polish_by_density_modification(problem, "started", F, fractions, len(F), generator)
        pool += made
        starts.append(max(made, key=lambda c: c.confidence))
    n_atoms = problem.content.n_atoms
    if n_atoms is not None and n_atoms <= MOST_ATOMS and problem.data.d_min <= 2.0:
        for start in starts:
            deadline = time.monotonic() + seconds
            settings = AtomSettings(cycles=2)
            pool += atomic_candidates(problem, [start], generator, settings, deadline)[:2]
    return pool


def pose_on(k: Kinematics, structure: gemmi.Structure, names: Sequence[str] | None = None) -> Pose:
    """The conformation of a structure, of the atoms with some names alone if given.

    Torsions and chains are those of the atoms that both have; other torsions are any.

    Raises
    ------
    ValueError
        If the structure has another number of residues.
    """
    p = k.peptides
    residues = [r for chain in structure[0] for r in chain.get_polymer().first_conformer()]
    if len(residues) != len(p.codes):
        raise ValueError(f"{len(residues)} residues, expected {len(p.codes)}")
    xyz = np.full((len(p.names), 3), np.nan)
    for i, name in enumerate(p.names):
        if name in residues[p.residue[i]] and (names is None or name in names):
            xyz[i] = residues[p.residue[i]][name][0].pos.tolist()
    torsions = [t.reference for t in p.torsions]
    for i, torsion in enumerate(p.torsions):
        if np.isfinite(xyz[list(torsion.atoms)]).all():
            torsions[i] = dihedral(xyz, torsion.atoms)
    pose = Pose(
        torch.tensor(torsions, dtype=torch.float32)[None],
        torch.eye(3).expand(1, k.n_chains, 3, 3).clone(),
        torch.zeros(1, k.n_chains, 3),
    )
    built = k.coordinates(pose)[0][0].numpy().astype(np.float64)
    for c in range(k.n_chains):
        rows = np.flatnonzero((p.chain == c) & np.isfinite(xyz).all(1))
        a, b = built[rows], xyz[rows]
        u, _, vt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
        turn = (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt).T
        pose.rotation[0, c] = torch.tensor(turn, dtype=torch.float32)
        pose.translation[0, c] = torch.tensor(b.mean(0) - turn @ a.mean(0), dtype=torch.float32)
    return pose


def by_sequence(
    problem: PhasingProblem, structure: gemmi.Structure | None, seed: int, seconds: float
) -> list[Candidate]:
    """Peptide models of a short search, started with the deposited conformation if given."""
    settings = SolveSettings().sequence
    settings = replace(settings, screened=4000, starts=200, small_starts=200, population=40)
    generator = torch.Generator().manual_seed(seed)
    deadline = time.monotonic() + 6 * seconds
    budget = Budget(time.monotonic() + seconds, deadline, generator)
    search = GroupSearch(problem, problem.data.space_group, settings, budget)
    if structure is not None:
        population = search.population
        k = population.kinematics
        try:
            pose = pose_on(k, structure)
        except ValueError:
            return []
        pose, _ = refine_torsions(k, population.target, pose, Steps(60, 0.03, 0.02, 0.05))
        population.advance(time.monotonic(), deadline)
        score = population.target.evaluate(k.coordinates(pose)[0]).score
        assert population.pose is not None
        population.pose = join([population.pose, pose])
        population.score = torch.cat((population.score, score))
    found = []
    for rated in search.advance(budget):
        phased = problem.expand(np.nan_to_num(rated.model.F))
        found.append(
            Candidate("sequence", problem.grid.with_amplitudes(phased[None])[0], phased,
                      rated.figures, 0.0, peptide=rated.model)
        )  # fmt: skip
    return found


def rows_of(entry: Entry, seconds: float, chosen: str) -> Iterator[list[object]]:
    """The rows of all candidates of one crystal."""
    searched = sum(map(len, entry.sequences)) * entry.copies <= 14 and len(entry.data) < LARGE
    rng = np.random.default_rng(11)
    for number, (regime, data, phi, random) in enumerate(regimes(entry)):
        problem = phasing_problem(data, tuple(entry.sequences), entry.copies)
        pools = []
        if chosen != "sequence":
            pools.append((regime, by_density(problem, phi, number, not random, seconds)))
        if searched and chosen != "density":
            pools.append((regime, by_sequence(problem, None, number, seconds)))
            if not random and entry.structure is not None:
                started = by_sequence(problem, entry.structure, number, seconds)
                pools.append((regime, started))
            if not random and number % 3 == 0:
                wrong = tuple(wrong_sequence(s, rng) for s in entry.sequences)
                try:
                    other = phasing_problem(data, wrong, entry.copies)
                    pools.append(
                        (f"{regime}, wrong sequence", by_sequence(other, None, 9, seconds))
                    )
                except CrysformerError as refusal:
                    print(f"{entry.name} {wrong}: {refusal}", flush=True)
        for name, pool in pools:
            for candidate in pool:
                compared = _compared(problem, candidate, phi)
                cosine = 0.0 if random else compared.cosine2_aligned
                figures = {COLUMN_OF.get(k, k): v for k, v in asdict(candidate.figures).items()}
                yield [
                    "measured" if entry.measured else "packed", FAMILIES[entry.name], entry.name,
                    name, f"{data.d_min:.2f}", kind_of(candidate.figures),
                    *(f"{figures.get(name, math.nan):.5f}" for name in FIGURES), f"{cosine:.4f}",
                ]  # fmt: skip


def _compared(
    problem: PhasingProblem, candidate: Candidate, phi: NDArray[np.float64]
) -> PhaseComparison:
    """Phases of a candidate against the true ones, where it was found: in P1, unless a model."""
    data = problem.data
    if candidate.peptide is not None:
        found, true = np.nan_to_num(candidate.peptide.F), np.exp(1j * np.deg2rad(phi))
    else:
        f = np.where(data.measured, data.f, 0.0)
        true = np.nan_to_num(problem.listed(problem.expand(f * np.exp(1j * np.deg2rad(phi)))))
        found, data = np.nan_to_num(problem.listed(candidate.F)), problem.grid.data
    found, true = (np.rad2deg(np.angle(F)) for F in (found, true))
    return compare_phases(data.hkl, data.f, found, true, data.cell, data.space_group)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder of the crystals")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=sorted(FAMILIES), choices=sorted(FAMILIES))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each step (3)")
    parser.add_argument("--kind", choices=("density", "sequence", "both"), default="both")
    args = parser.parse_args()
    torch.set_num_threads(1)
    require_table(args.out, COLUMNS)
    with args.out.open("a", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        if handle.tell() == 0:
            writer.writerow(COLUMNS)
        for name in args.only:
            begun = time.process_time()
            n = 0
            for row in rows_of(entry_of(args.shared, name), args.seconds, args.kind):
                writer.writerow(row)
                n += 1
            handle.flush()
            print(f"{name}: {n} rows, {time.process_time() - begun:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
