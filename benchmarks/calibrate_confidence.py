"""Fit the solver's confidence to runs on crystals with known phases.

    python benchmarks/calibrate_confidence.py --dipeptide DIR --fifteen DIR --out rows.tsv
    python benchmarks/calibrate_confidence.py --grid DIR [--sparse] -n 4 --out rows.tsv
    python benchmarks/calibrate_confidence.py --fit rows.tsv [more.tsv ...]
    python benchmarks/calibrate_confidence.py --leave-out rows.tsv [more.tsv ...]

The first form runs one or two rounds of charge flipping on validation crystals in several regimes
(exact, noisy and incomplete, lower resolution) and on controls whose amplitudes are shuffled within
shells of resolution, and appends a row for each candidate kept: figures of merit, and the aligned
F^2-weighted cosine to the truth. The second (DIR: 15-residue recipe) does so with molecules of
several sizes, packings, B and copies, and adds candidates that density modification makes of the
true phases with large random errors, as a fragment or a network would give. The
third fits one logistic regression each for modified density, refined atoms and peptide models
(rows of `sequence_rows.py`), as far as the rows hold them, prints the reliability from a fit to the
other half of the crystals, and writes src/crysformer/phasing/merit/confidence.json. Rows of
measured crystals (`measured_rows.py`) take part in the fits of atoms and peptide models, not in
that of density (`SYNTHETIC_ALONE`). The fourth scores each measured crystal by fits that left it
and its family out, and prints a table.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.p1_crystal import single
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.logistic import cross_validated, fit_logistic
from crysformer.evaluation.regimes.controls import shuffled_within_shells
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.phasing.atoms.atomic_candidates import AtomSettings, atomic_candidates
from crysformer.phasing.budget import Budget
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.fragments.completion import complete_structure
from crysformer.phasing.merit.confidence import Kind, features, kind_of
from crysformer.phasing.merit.figures import (
    AtomFigures,
    DensityFigures,
    Figures,
    SequenceFigures,
)
from crysformer.phasing.p1_grid import P1Grid
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.random_starts.method import ChargeFlipping
from crysformer.phasing.settings import SolveSettings

FIGURES = ("reflections_per_volume", "r", "free_correlation", "noise", "reflections_per_atom")
KINDS: tuple[Kind, ...] = get_args(Kind)
FIGURES_OF: dict[Kind, type[Figures]] = {
    "density": DensityFigures,
    "atoms": AtomFigures,
    "sequence": SequenceFigures,
}
COLUMN_OF = {"log_likelihood_gain": "gap", "z_free_correlation": "free_z"}
"""Columns of stored rows that are not called as the figure that they hold."""
# A better R, free correlation or log-likelihood gain cannot make a candidate less credible.
SIGNS: dict[Kind, tuple[int, ...]] = {
    "density": (-1, 1, 0),
    "atoms": (-1, 1, 0, 0),
    "sequence": (-1, 1, 1, 0, 0),
}
SYNTHETIC_ALONE: tuple[Kind, ...] = ("density",)
"""Fits that rows of measured crystals do not improve (docs/phasing.md)."""
CLAIMED = 0.9


@dataclass(frozen=True)
class Regime:
    """Quality of the data, and whether their amplitudes are shuffled, under a name."""

    name: str
    quality: DataQuality = field(default_factory=DataQuality)
    shuffled: bool = False


REGIMES = (
    Regime("exact"),
    Regime("noisy", DataQuality(amplitude_error=0.1, completeness=0.8)),
    Regime("very-noisy", DataQuality(amplitude_error=0.2, completeness=0.7)),
    Regime("2.0 A", DataQuality(d_min=2.0)),
    Regime("2.5 A", DataQuality(d_min=2.5)),
    Regime("shuffled", shuffled=True),
    Regime("shuffled-noisy", DataQuality(amplitude_error=0.1, completeness=0.8), shuffled=True),
    Regime("shuffled 2.0 A", DataQuality(d_min=2.0), shuffled=True),
    Regime("shuffled 2.5 A", DataQuality(d_min=2.5), shuffled=True),
)


GRID = tuple(
    condition
    for n in (5, 8, 15)
    for condition in (
        Condition(n, "tight", DataQuality(d_min=1.0, amplitude_error=0.05), b="8"),
        Condition(n, "tight", DataQuality(d_min=1.0, amplitude_error=0.1), b="mixed"),
        Condition(n, "tight", DataQuality(d_min=1.2, amplitude_error=0.05), b="mixed"),
        Condition(n, "tight", DataQuality(d_min=1.5, amplitude_error=0.05), b="mixed"),
        Condition(n, "tight", DataQuality(d_min=1.5, amplitude_error=0.1, completeness=0.8)),
        Condition(n, "rich", DataQuality(d_min=1.5, amplitude_error=0.1), b="mixed"),
        Condition(n, "tight", DataQuality(d_min=2.0, amplitude_error=0.1), b="mixed"),
        Condition(
            n, "tight", DataQuality(d_min=1.0, amplitude_error=0.1), b="mixed", control="shuffled"
        ),
        Condition(
            n, "tight", DataQuality(d_min=1.5, amplitude_error=0.1), b="mixed", control="shuffled"
        ),
    )
) + tuple(
    Condition(n, "tight", DataQuality(d_min=d_min, amplitude_error=0.1), b="mixed", copies=copies)
    for n, copies in ((5, 2), (8, 2))
    for d_min in (1.0, 1.5)
)
# Few amplitudes for each atom, where wrong structures fit best: many crystals, quickly tried.
SPARSE = (
    Condition(2, "tight", DataQuality(completeness=0.6)),
    Condition(2, "tight", DataQuality(completeness=0.6, missing="wedge")),
    Condition(2, "tight", DataQuality(amplitude_error=0.1, completeness=0.6)),
    Condition(2, "tight", DataQuality(d_min=2.0, amplitude_error=0.1, completeness=0.8)),
    Condition(2, "tight", DataQuality(completeness=0.6), control="shuffled"),
    Condition(2, "tight", copies=2),
    Condition(2, "tight", DataQuality(amplitude_error=0.1), copies=3),
    Condition(5, "tight", DataQuality(completeness=0.6, missing="wedge")),
    Condition(5, "tight", DataQuality(amplitude_error=0.1, completeness=0.6)),
)
STARTS = (70, 80, 85)  # mean phase errors in degrees, before density modification


def nearly_true(crystal: SyntheticCrystal, grid: P1Grid, seed: int) -> torch.Tensor:
    """True phases with normal errors, of the mean sizes `STARTS`, half grids (B, ...)."""
    rng = np.random.default_rng(seed)
    starts = []
    for mean in STARTS:
        # mean |error| of a wrapped normal of this spread, by trial
        spread = np.interp(mean, [40, 60, 70, 80, 85, 89], [51, 82, 101, 131, 156, 220])
        phi = crystal.phi_true + rng.normal(0, spread, len(crystal.phi_true))
        F = crystal.data.f / grid.scale * np.exp(1j * np.deg2rad(phi))
        starts.append(grid.to_grid(F))
    return torch.stack(starts)


def candidates(
    crystal: SyntheticCrystal, data: CrystalData, seed: int, started: bool = False
) -> Iterator[tuple[Kind, Figures, float]]:
    """(kind, figures, aligned cosine) of the candidates of a short search."""
    chains = crystal.sequence.split(",")
    problem = phasing_problem(data, tuple(chains[:1]), len(chains))
    generator = torch.Generator().manual_seed(seed)
    deadline = time.monotonic() + 600
    budget = Budget(deadline, deadline, generator)
    pool = ChargeFlipping(problem, SolveSettings()).advance(budget)
    best = max(pool, key=lambda candidate: candidate.confidence)
    if started:
        F = nearly_true(crystal, problem.grid, seed)
        fraction = float(positive_fractions(problem, 8, generator).median())
        rounds = ((len(F), 60),)
        b_iso = problem.content.b_iso
        F, _ = complete_structure(problem.grid, F, fraction, b_iso, rounds, generator, deadline)
        fractions = torch.full((len(F),), fraction)
        pool += polish_by_density_modification(problem, "started", F, fractions, len(F), generator)
    assert problem.content.n_atoms is not None
    if problem.content.n_atoms <= 250 and best.atoms is None and data.d_min <= 2.0:
        pool += atomic_candidates(problem, [best], generator, AtomSettings(cycles=1))
    for candidate in pool:
        found = grid_to_hkl(candidate.F, torch.as_tensor(data.hkl)).numpy()
        compared = compare_phases(
            data.hkl,
            data.f,
            np.rad2deg(np.angle(found)),
            crystal.phi_true,
            data.cell,
            data.space_group,
        )
        yield kind_of(candidate.figures), candidate.figures, compared.cosine2_aligned


def writer_of(out: Path, handle: TextIO) -> Any:
    """A table writer on an open file, with the header if the file is new."""
    columns = ["recipe", "id", "regime", "kind", *FIGURES, "cosine"]
    require_table(out, columns)
    writer = csv.writer(handle, delimiter="\t")
    if out.stat().st_size == 0:
        writer.writerow(columns)
    return writer


def require_table(path: Path, columns: list[str]) -> None:
    """Refuse to append to a file that is not a table with these columns."""
    if path.exists() and path.stat().st_size:
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline().rstrip("\r\n").split("\t") != columns:
                raise SystemExit(f"{path}: is not such a table of candidates; choose a new file")


def values_of(figures: Figures, cosine: float) -> list[str]:
    """The last columns of a row."""
    return [*(f"{getattr(figures, name, math.nan):.5f}" for name in FIGURES), f"{cosine:.4f}"]


def collect_grid(
    folder: Path, n: int, first: int, out: Path, conditions: tuple[Condition, ...]
) -> None:
    table = FragmentStore.open(folder).table("validation")
    with out.open("a", newline="") as handle:
        writer = writer_of(out, handle)
        for number in range(first, first + n):
            for condition in conditions:
                crystal = grid_crystal(table, condition, number, seed=1)
                started = not condition.control
                for kind, figures, cosine in candidates(crystal, crystal.data, number, started):
                    cosine = 0.0 if condition.control else cosine
                    values = values_of(figures, cosine)
                    writer.writerow(["grid", crystal.id, condition.name, kind, *values])
                handle.flush()


def collect(folder: Path, n: int, first: int, out: Path) -> None:
    store = FragmentStore.open(folder)
    table = store.table("validation")
    chosen = np.random.default_rng(0).permutation(len(table))[first : first + n]
    with out.open("a", newline="") as handle:
        writer = writer_of(out, handle)
        for index in chosen.tolist():
            for regime in REGIMES:
                contents = single(table.molecule(index), store.recipe)
                rng = np.random.default_rng((0, index))
                crystal = regime.quality.measure(contents, rng, store.recipe.sample_rate)
                data = crystal.data
                if regime.shuffled:
                    data = shuffled_within_shells(data, np.random.default_rng(index))
                for kind, figures, cosine in candidates(crystal, data, seed=index):
                    cosine = 0.0 if regime.shuffled else cosine
                    values = values_of(figures, cosine)
                    writer.writerow([store.recipe.name, crystal.id, regime.name, kind, *values])
                handle.flush()


def report(kind: Kind, p: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Print the reliability on crystals held out from the fit."""
    print(f"{kind}: {len(y)} candidates, {y.mean():.3f} solved")
    print("  confidence     n  solved")
    error = 0.0
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.98), (0.98, 1.001)):
        inside = (p >= low) & (p < high)
        if inside.any():
            error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
            print(f"  {low:4.2f}-{high:4.2f} {inside.sum():6d}  {y[inside].mean():.3f}")
    false = int(((p >= 0.9) * (1 - y)).sum())
    print(f"  expected calibration error {error:.4f}; false above 0.9: {false}")


def figures_of(kind: Kind, row: dict[str, str]) -> Figures:
    """Figures of merit from a stored row."""
    figures = FIGURES_OF[kind]
    columns = {field.name: COLUMN_OF.get(field.name, field.name) for field in fields(figures)}
    return figures(**{name: float(row[column]) for name, column in columns.items()})


def group_of(row: dict[str, str]) -> str:
    """Crystals that a fit leaves out together: the family, where a row has one, or one crystal."""
    return row.get("family") or row["id"]


def rows_to_fit(kind: Kind, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows that the fit of one kind of candidate uses."""
    own = [row for row in rows if row["kind"] == kind]
    return [row for row in own if kind not in SYNTHETIC_ALONE or "family" not in row]


def read_rows(paths: Sequence[Path]) -> list[dict[str, str]]:
    """All rows of some tables."""
    return [row for path in paths for row in csv.DictReader(path.open(), delimiter="\t")]


def leave_out(paths: list[Path]) -> None:
    """Print what fits without a crystal and its family make of the crystal's candidates."""
    rows = read_rows(paths)
    measured = [row for row in rows if "family" in row]
    p = np.empty(len(measured))
    for kind in KINDS:
        usable = rows_to_fit(kind, rows)
        x = np.array([features(figures_of(kind, row)) for row in usable])
        y = np.array([float(float(row["cosine"]) >= SOLVED_COSINE) for row in usable])
        group = np.array([group_of(row) for row in usable])
        for family in {group_of(row) for row in measured}:
            kept = group != family
            fit = fit_logistic(x[kept], y[kept], SIGNS[kind])
            for i, row in enumerate(measured):
                if row["kind"] == kind and group_of(row) == family:
                    figures = np.array([features(figures_of(kind, row))])
                    p[i] = fit.probability(figures)[0]
    right = np.array([float(row["cosine"]) >= SOLVED_COSINE for row in measured])
    print("| crystal | data | family | wrong | claimed | highest | right | claimed | not claimed |")
    print("|---|---|---|---:|---:|---:|---:|---:|---|")
    for name in sorted({row["id"] for row in measured}):
        own = np.array([row["id"] == name for row in measured])
        wrong, good = own & ~right, own & right
        low = [
            f"{measured[i]['regime']} ({p[i]:.2f})" for i in np.flatnonzero(good & (p < CLAIMED))
        ]
        first = measured[int(np.flatnonzero(own)[0])]
        print(
            f"| {name} | {first['source']} | {first['family']} | {wrong.sum()} | "
            f"{(p[wrong] >= CLAIMED).sum()} | {p[wrong].max():.2f} | {good.sum()} | "
            f"{(p[good] >= CLAIMED).sum()} | {', '.join(dict.fromkeys(low)) or '-'} |"
        )


def fitted(kind: Kind, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Fit one kind of candidate; the entry of confidence.json. Prints the reliability."""
    x = np.array([features(figures_of(kind, row)) for row in rows])
    y = np.array([float(float(row["cosine"]) >= SOLVED_COSINE) for row in rows])
    ids = sorted({row["id"] for row in rows})
    groups = sorted({group_of(row) for row in rows})
    half_of = {name: i % 2 for i, name in enumerate(groups)}
    half = np.array([half_of[group_of(row)] for row in rows])
    report(kind, cross_validated(x, y, half, SIGNS[kind]), y)
    fit = fit_logistic(x, y, SIGNS[kind])
    return {
        "intercept": round(fit.intercept, 4),
        "coefficients": [round(c, 4) for c in fit.coefficients],
        "candidates": len(y),
        "crystals": len(ids),
    }


def fit_all(paths: list[Path], out: Path) -> None:
    """Fit every kind of candidate that the rows hold; `out` keeps the entries of the others."""
    rows = read_rows(paths)
    content: dict[str, object] = json.loads(out.read_text(encoding="utf-8"))
    for kind in KINDS:
        chosen = rows_to_fit(kind, rows)
        if chosen:
            content[kind] = fitted(kind, chosen)
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"written: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dipeptide", type=Path, help="a data set of the dipeptide recipe")
    parser.add_argument("--fifteen", type=Path, help="a data set of the 15-residue recipe")
    parser.add_argument("--grid", type=Path, help="the latter, for the second form")
    parser.add_argument(
        "--sparse", action="store_true", help="only the conditions with few amplitudes"
    )
    parser.add_argument("-n", type=int, default=30, help="crystals of each recipe")
    parser.add_argument("--first", type=int, default=0, help="where to begin in the shuffled split")
    parser.add_argument("--out", type=Path, default=Path("confidence-rows.tsv"))
    parser.add_argument("--fit", type=Path, nargs="+", help="fit to these rows")
    parser.add_argument("--leave-out", type=Path, nargs="+", help="measured crystals among them")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (args.dipeptide, args.fifteen):
        if folder is not None:
            collect(folder, args.n, args.first, args.out)
    if args.grid is not None:
        collect_grid(args.grid, args.n, args.first, args.out, SPARSE if args.sparse else GRID)
    if args.leave_out:
        leave_out(args.leave_out)
    if args.fit:
        here = Path(__file__).resolve().parent.parent
        fit_all(args.fit, here / "src/crysformer/phasing/merit/confidence.json")


if __name__ == "__main__":
    main()
