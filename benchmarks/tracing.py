"""Tracing of chains in maps with errors of known size, and in maps without any information.

    python benchmarks/tracing.py measure --data DIR --split test -n 20 --error 60 --output rows.tsv
    python benchmarks/tracing.py measure --data DIR --split test -n 100 --error random \
        --output rows.tsv
    python benchmarks/tracing.py files solution.mtz=SEQUENCE=model.pdb --output rows.tsv
    python benchmarks/tracing.py table rows.tsv
    python benchmarks/tracing.py fit rows.tsv ... --score others.tsv

Maps have exact amplitudes and phases with errors from a wrapped normal distribution of the mean
absolute value that is given, or uniformly random ones. Each is traced as it is and after density
modification and, if neither model is accepted or with `--cis`, with cis peptide bonds; nothing but
the sequence is known, and the amplitudes are not searched. R is that of the traced model as it
stands, with one scale factor and one B. `files` does the same for phases that a solver wrote. `fit`
fits the coefficients of `crysformer.building.tracing.acceptance`, and cross-validates them: to
`tracing-rows.tsv` and, with solvent and errors of measurement, `tracing-measured-rows.tsv`
(`tracing_crystals.py`).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

if TYPE_CHECKING:
    import gemmi
    from numpy.typing import NDArray

    from crysformer.building.tracing.traced_model import TracedModel
    from crysformer.crystal.reflections import CrystalData
    from crysformer.data.store import FragmentTable

SOLVER_TIME = 20.0  # s
RIGHT = 0.5  # A, RMSD of the backbone
FIGURES = ("amplitude_correlation", "least_residue")
FOLDS = 10  # of the cross-validation of a fit, by crystals
CIS_CA = 3.5  # A, distance of CA below which a peptide bond is cis (2.9; 3.8 if trans)


@dataclass(frozen=True)
class Row:
    """One map traced once; RMSDs in A, NaN where no model was found."""

    data: str
    split: str
    id: str
    error: str
    modified: int
    any_cis: int
    phase_error: float
    backbone: float
    all_atoms: float
    r: float
    map_correlation: float
    amplitude_correlation: float
    least_residue: float
    score: float
    accepted: int
    n_reflections: int
    n_atoms: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("measure", help="trace maps of synthetic crystals")
    measure.add_argument("--data", type=Path, required=True, help="a data set of fragments")
    measure.add_argument("--split", default="validation")
    measure.add_argument("-n", type=int, default=20, help="crystals")
    measure.add_argument("--skip", type=int, default=0, help="crystals left out before them")
    measure.add_argument("--error", default="60", help='degrees, "random", or "solver"')
    measure.add_argument("--raw-only", action="store_true", help="no density modification")
    measure.add_argument(
        "--cis", action="store_true", help="only crystals with a cis peptide bond before no proline"
    )
    measure.add_argument("--seed", type=int, default=0)
    measure.add_argument("--output", type=Path, required=True, help="rows are appended")
    measure.set_defaults(run=_measure)
    files = commands.add_parser("files", help="trace maps of phases in files")
    files.add_argument("files", nargs="+", metavar="MTZ=SEQUENCE=MODEL")
    files.add_argument("--output", type=Path, required=True)
    files.set_defaults(run=_files)
    table = commands.add_parser("table", help="percentages from rows")
    table.add_argument("rows", type=Path, nargs="+")
    table.set_defaults(run=_table)
    fit = commands.add_parser("fit", help="coefficients of the acceptance from rows")
    fit.add_argument("rows", type=Path, nargs="+")
    fit.add_argument("--score", type=Path, nargs="*", default=[], help="rows left out of the fit")
    fit.set_defaults(run=_fit)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    from crysformer.data.store import FragmentStore
    from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal

    store = FragmentStore.open(arguments.data)
    table = store.table(arguments.split)
    order = np.random.default_rng(0).permutation(len(table)).tolist()
    chosen = (i for i in order if not arguments.cis or _other_cis_bonds(table, i))
    name = arguments.data.name
    done = {(r["data"], r["id"], r["error"]) for r in _read([arguments.output])}
    for index in itertools.islice(chosen, arguments.skip, arguments.skip + arguments.n):
        crystal = synthetic_crystal(table, index, store.recipe)
        if (name, crystal.id, arguments.error) in done:
            continue
        rng = np.random.default_rng((arguments.seed, index))
        if arguments.error == "solver":
            phi = _solved(crystal.data, crystal.sequence, arguments.seed)
        else:
            phi = with_error(crystal.phi_true, arguments.error, rng)
        F = np.asarray(crystal.data.f * np.exp(1j * np.radians(np.nan_to_num(phi))), complex)
        label = (name, arguments.split, crystal.id, arguments.error)
        rows = traced(
            label, crystal.data, F, crystal.phi_true, [crystal.sequence], crystal.structure,
            arguments.seed, raw_only=arguments.raw_only, always_cis=arguments.cis,
        )  # fmt: skip
        _append(arguments.output, rows)


def _other_cis_bonds(table: FragmentTable, index: int) -> bool:
    """Whether a fragment has a cis peptide bond that is not before a proline."""
    from crysformer.peptide.residues import ATOMS, CODES

    atoms = [ATOMS[CODES.index(letter)] for letter in table.sequence[index]]
    first = np.cumsum([table.offset[index], *(len(names) for names in atoms)])
    ca = table.xyz[[row + names.index("CA") for row, names in zip(first, atoms, strict=False)]]
    near = np.linalg.norm(np.diff(ca, axis=0), axis=1) < CIS_CA
    letters = table.sequence[index][1:]
    return any(cis and letter != "P" for cis, letter in zip(near, letters, strict=True))


def _files(arguments: argparse.Namespace) -> None:
    from crysformer.crystal.io.read import read_crystal
    from crysformer.crystal.io.read_phases import read_phases
    from crysformer.evaluation.deposited_models import read_model

    for text in arguments.files:
        path, sequence, model = text.split("=")
        data = read_crystal(path)
        found = read_phases(path, "FWT,PHWT")
        rows = {tuple(hkl): i for i, hkl in enumerate(found.hkl.tolist())}
        index = np.array([rows.get(tuple(hkl), -1) for hkl in data.hkl.tolist()])
        F = np.where(index >= 0, found.coefficients[index], 0.0)
        label = (Path(path).parent.name, "measured", Path(model).name, "solver")
        truth = np.full(len(data), np.nan)
        _append(
            arguments.output,
            traced(label, data, F, truth, sequence.split(","), read_model(Path(model)), 0),
        )


def _solved(data: CrystalData, sequence: str, seed: int) -> NDArray[np.float64]:
    """Phases of the solver, degrees, whatever its verdict."""
    from crysformer.phasing.solver import solve

    return solve(data, sequence, time_limit=SOLVER_TIME, seed=seed, device="cpu").phi


def with_error(
    phi: NDArray[np.float64], error: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Phases, degrees, with normal errors of a mean absolute value when wrapped, or random ones."""
    if error == "random":
        return rng.uniform(-180.0, 180.0, len(phi))
    return phi + spread_of(float(error)) * rng.normal(size=len(phi))


def spread_of(mean: float) -> float:
    """Standard deviation of a normal distribution whose wrapped absolute mean is `mean`, degrees.

    The wrapped mean is 90 - (720 / pi^2) sum over odd k of exp(-(k sigma)^2 / 2) / k^2 degrees,
    sigma in radians.
    """

    def wrapped(sigma: float) -> float:
        odd = np.arange(1, 400, 2)
        terms = np.exp(-0.5 * (odd * math.radians(sigma)) ** 2) / odd**2
        return 90.0 - 720.0 / math.pi**2 * float(terms.sum())

    low, high = 1e-3, 400.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if wrapped(middle) < mean else (low, middle)
    return low


def traced(
    label: tuple[str, str, str, str],
    data: CrystalData,
    F: NDArray[np.complex128],
    phi_true: NDArray[np.float64],
    sequences: Sequence[str],
    truth: gemmi.Structure,
    seed: int,
    *,
    raw_only: bool = False,
    always_cis: bool = False,
    compared: Callable[[gemmi.Structure, gemmi.Structure], tuple[float, float]] | None = None,
) -> Iterator[Row]:
    """Rows of one map, as it is and density-modified, and with cis bonds if no model is right.

    `compared` gives the RMSDs of a model; by default they are `deviations`.
    """
    from crysformer.building.tracing.density_improvement import modified_phases
    from crysformer.building.tracing.from_amplitudes import map_of
    from crysformer.building.tracing.settings import TracingSettings
    from crysformer.building.tracing.trace import trace
    from crysformer.evaluation.building.deviations import deviations

    settings = TracingSettings()
    accepted = False
    for modified, cis in ((0, False), (1, False), (1, True))[: 1 if raw_only else 3]:
        if cis and accepted and not always_cis:
            return
        began = time.process_time()
        if modified and not cis:
            F = modified_phases(data, F, sequences, settings.modification, seed)
        model = trace(
            map_of(data, F), sequences, data.d_min, seed=seed, any_cis=cis,
            radiation=data.radiation,
        )  # fmt: skip
        seconds = time.process_time() - began
        error = _weighted_error(data, F, phi_true)
        row = Row(
            *label, modified=modified, any_cis=int(cis), phase_error=error, backbone=math.nan,
            all_atoms=math.nan, r=math.nan, map_correlation=math.nan,
            amplitude_correlation=math.nan, least_residue=math.nan, score=0.0, accepted=0,
            n_reflections=int(data.measured.sum()), n_atoms=0, seconds=seconds,
        )  # fmt: skip
        if model is None:
            yield row
            continue
        accepted |= model.accepted
        backbone, all_atoms = (compared or deviations)(model.structure, truth)
        yield dataclasses.replace(
            row,
            backbone=backbone,
            all_atoms=all_atoms,
            r=_r(data, model),
            map_correlation=model.map_correlation,
            amplitude_correlation=model.amplitude_correlation,
            least_residue=float(model.residue_correlations.min()),
            score=model.score,
            accepted=int(model.accepted),
            n_atoms=len(model.xyz),
        )


def _weighted_error(
    data: CrystalData, F: NDArray[np.complex128], phi_true: NDArray[np.float64]
) -> float:
    used = data.measured & np.isfinite(F) & np.isfinite(phi_true)
    if not used.any():
        return math.nan
    turn = np.angle(F[used] * np.exp(-1j * np.radians(phi_true[used])))
    return float(np.average(np.abs(np.degrees(turn)), weights=data.f[used]))


def _r(data: CrystalData, model: TracedModel) -> float:
    import torch

    from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
    from crysformer.crystal.operators import operators
    from crysformer.phasing.merit.r_factor import r_factor

    used = data.measured
    frac = model.xyz @ data.to_frac.T
    mates = np.concatenate([frac @ r.T + t for r, t in operators(data.space_group, centred=True)])
    batch = AtomBatch(
        torch.as_tensor(mates)[None],
        torch.as_tensor(np.tile(model.peptides.number, len(mates) // len(frac)))[None],
        torch.full((1, len(mates)), model.b_iso, dtype=torch.float64),
        torch.ones(1, len(mates), dtype=torch.float64),
    )
    F = structure_factors(
        batch, torch.as_tensor(data.orth), torch.as_tensor(data.hkl[used]), data.radiation
    )
    return float(r_factor(data.f[used], F[0].abs().numpy()))


def _append(path: Path, rows: Iterator[Row]) -> None:
    found = list(rows)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(
            file, [f.name for f in fields(Row)], delimiter="\t", lineterminator="\n"
        )
        if new:
            writer.writeheader()
        for row in found:
            values = asdict(row)
            writer.writerow(
                {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in values.items()}
            )


def _read(paths: Sequence[Path]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in paths:
        if path.exists():
            with path.open(newline="") as file:
                rows += csv.DictReader(file, delimiter="\t")
    return rows


def _table(arguments: argparse.Namespace) -> None:
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for row in _read(arguments.rows):
        groups[row["data"], row["split"], row["error"], row["modified"], row["any_cis"]].append(row)
    print(
        "| crystals | split | phase error | map | n | backbone <= 0.5 A | all atoms <= 0.2 A "
        "| <= 0.3 A | median all atoms | R < 0.38 | accepted | accepted and wrong | CPU s |"
    )
    print("|---" * 13 + "|")
    for (data, split, error, modified, cis), rows in sorted(groups.items()):
        column = {
            name: np.array([float(r[name]) for r in rows])
            for name in ("backbone", "all_atoms", "r", "accepted", "seconds")
        }
        right = column["backbone"] <= RIGHT
        accepted = column["accepted"] > 0
        cells = [
            data, split, error,
            ("density-modified" if modified == "1" else "as it is") + ", cis" * int(cis),
            str(len(rows)), f"{100 * right.mean():.0f} %",
            f"{100 * (column['all_atoms'] <= 0.2).mean():.0f} %",
            f"{100 * (column['all_atoms'] <= 0.3).mean():.0f} %",
            f"{np.nanmedian(column['all_atoms']):.2f} A",
            f"{100 * (column['r'] < 0.38).mean():.0f} %",
            f"{100 * accepted.mean():.0f} %", str(int((accepted & ~right).sum())),
            f"{column['seconds'].mean():.1f}",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def _fit(arguments: argparse.Namespace) -> None:
    from crysformer.building.tracing.acceptance import features
    from crysformer.building.tracing.settings import TracingSettings
    from crysformer.evaluation.logistic import fit_logistic

    rows = [r for r in _read(arguments.rows) if r["backbone"] != "nan"]
    right = np.array([float(r["backbone"]) <= RIGHT for r in rows])
    x = np.array([features_of(r, features) for r in rows])
    of_map = np.array([[float(r["map_correlation"])] for r in rows])
    kind = np.array([r["data"] if r["data"] in ("measured", "made") else "synthetic" for r in rows])
    crystals = np.unique([_family(r) for r in rows], return_inverse=True)[1]
    part = np.random.default_rng(0).integers(FOLDS, size=crystals.max() + 1)[crystals]
    tables = {
        "map and amplitudes": np.hstack((of_map, x[:, :1])),
        "amplitudes": x[:, :1],
        "amplitudes and least residue": x[:, :2],
        "amplitudes, least residue and map": np.hstack((of_map, x[:, :2])),
        "amplitudes, least residue and size": x,
    }
    for name, used in tables.items():
        held_out = np.zeros(len(used))
        for fold in range(FOLDS):
            out = part == fold
            held_out[out] = fit_logistic(used[~out], right[~out]).probability(used[out])
        loss = -np.log(np.where(right, held_out, 1 - held_out).clip(1e-9))
        print(f"{name}, held out: log loss {loss.mean():.3f}")
        for these in dict.fromkeys(kind):
            rows_of = kind == these
            line = f"  {these}: log loss {loss[rows_of].mean():.3f}"
            for limit in (0.5, TracingSettings().accepted, 0.9):
                said = rows_of & (held_out >= limit)
                line += (
                    f"; from {limit:g}, right {(said & right).sum()} of {(rows_of & right).sum()} "
                    f"and wrong {(said & ~right).sum()} of {(rows_of & ~right).sum()}"
                )
            print(line)
    fit = fit_logistic(x, right)
    print(fit)
    for row in _read(arguments.score):
        p = float(fit.probability(np.array([features_of(row, features)]))[0])
        print(f"{row['data']} {row['id']} modified {row['modified']}: {p:.2f}")


def features_of(
    row: dict[str, str], features: Callable[..., tuple[float, ...]]
) -> tuple[float, ...]:
    """Features of a row."""
    return features(*(float(row[name]) for name in FIGURES), int(row["n_atoms"]))


def _family(row: dict[str, str]) -> str:
    """What is left out together: a crystal, and of measured ones all of one family."""
    if row["data"] == "measured":
        return row["split"]
    return row["data"] + row["id"].rsplit("-", 1)[0]


if __name__ == "__main__":
    main()
