"""Fit the solver's confidence to runs on crystals with known answer.

    python benchmarks/calibrate_confidence.py --dipeptide DIR --fifteen DIR --out rows.tsv
    python benchmarks/calibrate_confidence.py --fit rows.tsv [more.tsv ...]

The first form runs one or two rounds of charge flipping on validation crystals in several regimes
(exact, noisy and incomplete, lower resolution) and on controls whose amplitudes are shuffled within
shells of resolution, and appends a row for each candidate kept: figures of merit, and the aligned
F^2-weighted cosine to the truth. The second fits one logistic regression each for modified density,
for refined atoms and for peptide models (rows of `sequence_rows.py`), for the kinds that the rows
hold, prints a reliability table from a fit to the other half of the crystals, and
writes src/crysformer/phasing/confidence.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from crysformer.crystal.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.maps import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic import SyntheticCrystal, synthetic_crystal
from crysformer.evaluation.regimes.controls import shuffled_within_shells
from crysformer.phasing.candidate import with_atoms
from crysformer.phasing.confidence import Kind, features
from crysformer.phasing.content import cell_content
from crysformer.phasing.problem import phase_problem
from crysformer.phasing.search import Search

FIGURES = ("r", "free_correlation", "noise", "reflections_per_atom")
KINDS: tuple[Kind, ...] = get_args(Kind)
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


def candidates(crystal: SyntheticCrystal, data: CrystalData, seed: int) -> Iterator[tuple]:
    """(kind, figures, aligned cosine) of the candidates of a short search."""
    problem = phase_problem(data)
    content = cell_content(data, (crystal.sequence,), 1)
    generator = torch.Generator().manual_seed(seed)
    search = Search(problem, content, generator, deadline=time.monotonic() + 600)
    search.flipping_round(0)
    pool = list(search.best)
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


def collect(folder: Path, n: int, first: int, out: Path) -> None:
    store = FragmentStore.open(folder)
    table = store.table("validation")
    chosen = np.random.default_rng(0).permutation(len(table))[first : first + n]
    new = not out.exists()
    with out.open("a", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t")
        if new:
            writer.writerow(["recipe", "id", "regime", "kind", *FIGURES, "cosine"])
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
                    values = [f"{figures.get(name, float('nan')):.5f}" for name in FIGURES]
                    writer.writerow(
                        [store.recipe.name, crystal.id, regime.name, kind, *values, f"{cosine:.4f}"]
                    )
                handle.flush()


def logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, list[float]]:
    """Ridge-penalised logistic regression: (intercept, coefficients)."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(w: NDArray[np.float64]) -> float:
        odds = z @ w
        return float(np.mean(np.logaddexp(0, odds) - y * odds) + RIDGE / len(x) * w[1:] @ w[1:])

    w = minimize(loss, np.zeros(z.shape[1])).x
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
            p[side == part] = predicted(logistic(x[side != part], y[side != part]), x[side == part])
        report(kind, p, y)
        intercept, coefficients = logistic(x, y)
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
    parser.add_argument("-n", type=int, default=30, help="crystals of each recipe")
    parser.add_argument("--first", type=int, default=0, help="where to begin in the shuffled split")
    parser.add_argument("--out", type=Path, default=Path("confidence-rows.tsv"))
    parser.add_argument("--fit", type=Path, nargs="+", help="fit to these rows")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (args.dipeptide, args.fifteen):
        if folder is not None:
            collect(folder, args.n, args.first, args.out)
    if args.fit:
        here = Path(__file__).resolve().parent.parent
        fit_all(args.fit, here / "src/crysformer/phasing/confidence.json")


if __name__ == "__main__":
    main()
