"""Fit the solver's confidence to runs on crystals with known answer.

    python benchmarks/calibrate_confidence.py --dipeptide DIR --fifteen DIR --out rows.tsv
    python benchmarks/calibrate_confidence.py --grid DIR [--sparse] -n 4 --out rows.tsv
    python benchmarks/calibrate_confidence.py --fit rows.tsv [more.tsv ...]

The first form runs one or two rounds of charge flipping on validation crystals in several regimes
(exact, noisy and incomplete, lower resolution) and on controls whose amplitudes are shuffled within
shells of resolution, and appends a row for each candidate kept: figures of merit, and the aligned
F^2-weighted cosine to the truth. The second (DIR: 15-residue recipe) does so with molecules of
several sizes, packings, B and copies, and adds candidates that density modification makes of the
true phases with large random errors, as a fragment or a network would give. The
third fits one logistic regression each for modified density, refined atoms and peptide models
(rows of `sequence_rows.py`), for the kinds that the rows hold, prints reliability from a fit
to the other half of the crystals, and writes src/crysformer/phasing/confidence.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.data.dataset.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal
from crysformer.evaluation.regimes.controls import shuffled_within_shells
from crysformer.evaluation.regimes.grid import GridCell
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.phasing.candidate import settle, with_atoms
from crysformer.phasing.candidate_pool import Search
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.fragments.completion import expand
from crysformer.phasing.merit.confidence import Kind, features
from crysformer.phasing.p1_grid import P1Grid, p1_grid

FIGURES = ("reflections_per_volume", "r", "free_correlation", "noise", "reflections_per_atom")
KINDS: tuple[Kind, ...] = get_args(Kind)
# A better R, free correlation, gap or free_z cannot make a candidate less credible.
SIGNS: dict[Kind, tuple[int, ...]] = {
    "density": (-1, 1, 0),
    "atoms": (-1, 1, 0),
    "sequence": (-1, 1, 1, 0, 0),
}
BOUNDS = {-1: (None, 0.0), 0: (None, None), 1: (0.0, None)}
RIDGE = 1e-2


@dataclass(frozen=True)
class Regime:
    """What the data are like."""

    name: str
    d_min: float = 1.5
    error: float = 0.0
    completeness: float = 1.0
    shuffled: bool = False


REGIMES = (
    Regime("exact"),
    Regime("noisy", error=0.1, completeness=0.8),
    Regime("very-noisy", error=0.2, completeness=0.7),
    Regime("2.0 A", d_min=2.0),
    Regime("2.5 A", d_min=2.5),
    Regime("shuffled", shuffled=True),
    Regime("shuffled-noisy", error=0.1, completeness=0.8, shuffled=True),
    Regime("shuffled 2.0 A", d_min=2.0, shuffled=True),
    Regime("shuffled 2.5 A", d_min=2.5, shuffled=True),
)


GRID = tuple(
    cell
    for n in (5, 8, 15)
    for cell in (
        GridCell(n, "tight", d_min=1.0, amplitude_error=0.05, b="8"),
        GridCell(n, "tight", d_min=1.0, amplitude_error=0.1, b="mixed"),
        GridCell(n, "tight", d_min=1.2, amplitude_error=0.05, b="mixed"),
        GridCell(n, "tight", d_min=1.5, amplitude_error=0.05, b="mixed"),
        GridCell(n, "tight", d_min=1.5, amplitude_error=0.1, completeness=0.8),
        GridCell(n, "rich", d_min=1.5, amplitude_error=0.1, b="mixed"),
        GridCell(n, "tight", d_min=2.0, amplitude_error=0.1, b="mixed"),
        GridCell(n, "tight", d_min=1.0, amplitude_error=0.1, b="mixed", control="shuffled"),
        GridCell(n, "tight", d_min=1.5, amplitude_error=0.1, b="mixed", control="shuffled"),
    )
) + tuple(
    GridCell(n, "tight", d_min=d_min, amplitude_error=0.1, b="mixed", copies=copies)
    for n, copies in ((5, 2), (8, 2))
    for d_min in (1.0, 1.5)
)
# Few amplitudes for each atom, where wrong structures fit best: many crystals, quickly tried.
SPARSE = (
    GridCell(2, "tight", completeness=0.6),
    GridCell(2, "tight", completeness=0.6, missing="wedge"),
    GridCell(2, "tight", amplitude_error=0.1, completeness=0.6),
    GridCell(2, "tight", d_min=2.0, amplitude_error=0.1, completeness=0.8),
    GridCell(2, "tight", completeness=0.6, control="shuffled"),
    GridCell(2, "tight", copies=2),
    GridCell(2, "tight", amplitude_error=0.1, copies=3),
    GridCell(5, "tight", completeness=0.6, missing="wedge"),
    GridCell(5, "tight", amplitude_error=0.1, completeness=0.6),
)
STARTS = (70, 80, 85)  # mean phase errors in degrees, before density modification


def nearly_true(crystal: SyntheticCrystal, problem: P1Grid, seed: int) -> torch.Tensor:
    """True phases with normal errors, of the mean sizes `STARTS`, half grids (B, ...)."""
    rng = np.random.default_rng(seed)
    starts = []
    for mean in STARTS:
        # mean |error| of a wrapped normal of this spread, by trial
        spread = np.interp(mean, [40, 60, 70, 80, 85, 89], [51, 82, 101, 131, 156, 220])
        phi = crystal.phi_true + rng.normal(0, spread, len(crystal.phi_true))
        F = crystal.data.f / problem.scale * np.exp(1j * np.deg2rad(phi))
        starts.append(problem.to_grid(F))
    return torch.stack(starts)


def candidates(
    crystal: SyntheticCrystal, data: CrystalData, seed: int, started: bool = False
) -> Iterator[tuple]:
    """(kind, figures, aligned cosine) of the candidates of a short search."""
    problem = p1_grid(data)
    chains = crystal.sequence.split(",")
    content = cell_content(data, tuple(chains[:1]), len(chains))
    generator = torch.Generator().manual_seed(seed)
    search = Search(problem, content, generator, deadline=time.monotonic() + 600)
    search.flipping_round(0)
    pool = list(search.best)
    if started:
        F = nearly_true(crystal, problem, seed)
        share = float(search.shares(8).median())
        F, _ = expand(problem, F, share, content.b_iso, ((len(F), 60),), generator, search.deadline)
        shares = torch.full((len(F),), share)
        pool += settle(problem, content, "started", F, shares, len(F), generator)
    if content.n_atoms <= 250 and search.best[0].atoms is None and data.d_min <= 2.0:
        pool += with_atoms(problem, content, search.best[:1], generator, cycles=1)
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
        kind = "density" if candidate.atoms is None else "atoms"
        yield kind, candidate.figures, compared.cosine2_aligned


def writer_of(out: Path, handle: TextIO) -> Any:
    """A table writer on an open file, with the header if the file is new."""
    writer = csv.writer(handle, delimiter="\t")
    if out.stat().st_size == 0:
        writer.writerow(["recipe", "id", "regime", "kind", *FIGURES, "cosine"])
    return writer


def values_of(figures: dict[str, float], cosine: float) -> list[str]:
    """The last columns of a row."""
    return [*(f"{figures.get(name, math.nan):.5f}" for name in FIGURES), f"{cosine:.4f}"]


def collect_grid(folder: Path, n: int, first: int, out: Path, cells: tuple[GridCell, ...]) -> None:
    table = FragmentStore.open(folder).table("validation")
    with out.open("a", newline="") as handle:
        writer = writer_of(out, handle)
        for number in range(first, first + n):
            for cell in cells:
                crystal = grid_crystal(table, cell, number, seed=1)
                started = not cell.control
                for kind, figures, cosine in candidates(crystal, crystal.data, number, started):
                    cosine = 0.0 if cell.control else cosine
                    values = values_of(figures, cosine)
                    writer.writerow(["grid", crystal.id, cell.name, kind, *values])
                handle.flush()


def collect(folder: Path, n: int, first: int, out: Path) -> None:
    store = FragmentStore.open(folder)
    table = store.table("validation")
    chosen = np.random.default_rng(0).permutation(len(table))[first : first + n]
    with out.open("a", newline="") as handle:
        writer = writer_of(out, handle)
        for index in chosen.tolist():
            for regime in REGIMES:
                crystal = synthetic_crystal(
                    table, index, store.recipe, regime.d_min, regime.error, regime.completeness
                )
                data = crystal.data
                if regime.shuffled:
                    data = shuffled_within_shells(data, np.random.default_rng(index))
                for kind, figures, cosine in candidates(crystal, data, seed=index):
                    cosine = 0.0 if regime.shuffled else cosine
                    values = values_of(figures, cosine)
                    writer.writerow([store.recipe.name, crystal.id, regime.name, kind, *values])
                handle.flush()


def logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], signs: tuple[int, ...] = ()
) -> tuple[float, list[float]]:
    """Ridge-penalised logistic regression: (intercept, coefficients), of these signs (0: any)."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(w: NDArray[np.float64]) -> float:
        odds = z @ w
        return float(np.mean(np.logaddexp(0, odds) - y * odds) + RIDGE / len(x) * w[1:] @ w[1:])

    bounds = [(None, None), *(BOUNDS[sign] for sign in signs)] if signs else None
    w = minimize(loss, np.zeros(z.shape[1]), method="L-BFGS-B", bounds=bounds).x
    coefficients = w[1:] / spread
    return float(w[0] - coefficients @ mean), coefficients.tolist()


def predicted(fit: tuple[float, list[float]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(fit[0] + x @ np.array(fit[1]), -30, 30)))


def report(kind: Kind, p: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Reliability on crystals the fit did not see."""
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


def numbers(row: dict[str, str]) -> dict[str, float]:
    """The columns of a row that are numbers."""
    found = {}
    for name, text in row.items():
        with suppress(ValueError):
            found[name] = float(text)
    return found


def fit_all(paths: list[Path], out: Path) -> None:
    rows = [row for path in paths for row in csv.DictReader(path.open(), delimiter="\t")]
    fitted: dict[str, object] = json.loads(out.read_text(encoding="utf-8"))
    for kind in KINDS:
        chosen = [row for row in rows if row["kind"] == kind]
        if not chosen:  # keeps what it had
            continue
        x = np.array([features(kind, numbers(row)) for row in chosen])
        y = np.array([float(float(r["cosine"]) >= SOLVED_COSINE) for r in chosen])
        ids = sorted({r["id"] for r in chosen})
        half = {name: i % 2 for i, name in enumerate(ids)}
        side = np.array([half[r["id"]] for r in chosen])
        p = np.empty(len(y))
        for part in (0, 1):
            fit = logistic(x[side != part], y[side != part], SIGNS[kind])
            p[side == part] = predicted(fit, x[side == part])
        report(kind, p, y)
        intercept, coefficients = logistic(x, y, SIGNS[kind])
        fitted[kind] = {
            "intercept": round(intercept, 4),
            "coefficients": [round(c, 4) for c in coefficients],
            "candidates": len(y),
            "crystals": len(ids),
        }
    out.write_text(json.dumps(fitted, indent=2) + "\n", encoding="utf-8")
    print(f"written: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dipeptide", type=Path, help="a data set of the dipeptide recipe")
    parser.add_argument("--fifteen", type=Path, help="a data set of the 15-residue recipe")
    parser.add_argument("--grid", type=Path, help="the latter, for the second form")
    parser.add_argument("--sparse", action="store_true", help="of it, the cells of few amplitudes")
    parser.add_argument("-n", type=int, default=30, help="crystals of each recipe")
    parser.add_argument("--first", type=int, default=0, help="where to begin in the shuffled split")
    parser.add_argument("--out", type=Path, default=Path("confidence-rows.tsv"))
    parser.add_argument("--fit", type=Path, nargs="+", help="fit to these rows")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (args.dipeptide, args.fifteen):
        if folder is not None:
            collect(folder, args.n, args.first, args.out)
    if args.grid is not None:
        collect_grid(args.grid, args.n, args.first, args.out, SPARSE if args.sparse else GRID)
    if args.fit:
        here = Path(__file__).resolve().parent.parent
        fit_all(args.fit, here / "src/crysformer/phasing/confidence.json")


if __name__ == "__main__":
    main()
