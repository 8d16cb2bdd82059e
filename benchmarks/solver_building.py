"""Models built from the solver's maps of synthetic crystals, compared with the truth.

    python benchmarks/solver_building.py measure --data DIR --split test -n 20 --output rows.tsv
    python benchmarks/solver_building.py table rows.tsv

Each crystal is solved with its sequence for 20 s at most, whatever the verdict, and a model is
built from the map alone: `crysformer.build` gets the amplitudes, the sequence and the solver's map
coefficients, no atoms and no model. Servalcat refines it where it is on the PATH. The crystals are
those of `crysformer experiment building`; those with a row are left out. Deviations are to the true
model, the origin being free but not the hand. Seconds are of processor time, those of refinement
programs included.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

if TYPE_CHECKING:
    from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal

SOLVER_TIME = 20.0  # s
R_PAPER = 0.38
ALL_ATOMS = (0.2, 0.3)  # A
BACKBONE = 0.5  # A, up to which a main chain is right


@dataclass(frozen=True)
class Row:
    """One crystal; probability of the trace, RMSDs in A, infinite where there is no model."""

    data: str
    split: str
    id: str
    sequence: str
    right_hand: int
    phase_error: float
    probability: float
    inverted: int
    backbone: float
    all_atoms: float
    r_work: float
    r_free: float
    program: str
    solving: float
    building: float
    message: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("measure")
    measure.add_argument("--data", type=Path, required=True, help="a data set of fragments")
    measure.add_argument("--split", default="validation")
    measure.add_argument("-n", type=int, default=20)
    measure.add_argument("--only", nargs="+", default=[], metavar="ID")
    measure.add_argument("--time-limit", type=float, default=60.0, help="for building, s")
    measure.add_argument(
        "--other-hand", action="store_true", help="give building the inverse of the map"
    )
    measure.add_argument("--output", type=Path, required=True, help="rows are appended")
    measure.set_defaults(run=_measure)
    table = commands.add_parser("table")
    table.add_argument("rows", type=Path)
    table.set_defaults(run=_table)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    from crysformer.data.store import FragmentStore
    from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
    from crysformer.evaluation.runner import choose

    store = FragmentStore.open(arguments.data)
    table = store.table(arguments.split)
    name = arguments.data.name
    done = {(r["data"], r["id"]) for r in _read(arguments.output)}
    for index in choose(table, arguments.n, 0, arguments.data).tolist():
        if (name, table.id[index]) in done or (
            arguments.only and table.id[index] not in arguments.only
        ):
            continue
        crystal = synthetic_crystal(table, index, store.recipe)
        row = _row(
            name, arguments.split, crystal, arguments.time_limit, inverse=arguments.other_hand
        )
        new = not arguments.output.exists()
        with arguments.output.open("a", newline="") as file:
            names = [f.name for f in fields(Row)]
            writer = csv.DictWriter(file, names, delimiter="\t", lineterminator="\n")
            if new:
                writer.writeheader()
            values = asdict(row).items()
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in values})


def _row(
    name: str, split: str, crystal: SyntheticCrystal, time_limit: float, *, inverse: bool
) -> Row:
    from crysformer.building.build import build
    from crysformer.building.start import Start
    from crysformer.crystal.comparison.compare import compare_phases
    from crysformer.errors import CrysformerError
    from crysformer.evaluation.building.deviations import deviations
    from crysformer.phasing.solver import solve

    data, begun = crystal.data, _processor_time()
    found = solve(data, crystal.sequence, time_limit=SOLVER_TIME, seed=0, device="cpu")
    solving = _processor_time() - begun
    compared = compare_phases(
        data.hkl, data.f, found.phi, crystal.phi_true, data.cell, data.space_group
    )
    phase = np.exp(1j * np.radians(np.nan_to_num(found.phi)))
    F = np.where(np.isfinite(found.phi), np.nan_to_num(found.f), 0.0) * phase
    F = F.conj() if inverse else F
    row = Row(
        name, split, crystal.id, crystal.sequence, int(compared.inverted == inverse),
        compared.weighted_aligned, 0.0, 0, np.inf, np.inf, np.nan, np.nan, "", solving, 0.0,
    )  # fmt: skip
    begun = _processor_time()
    try:
        built = build(
            data, crystal.sequence, Start(F=F, all_data=True), time_limit=time_limit, k_fold_limit=0
        )
    except CrysformerError as failure:
        return replace(row, message=str(failure), building=_processor_time() - begun)
    backbone, all_atoms = deviations(built.structure, crystal.structure)
    traced = next(note for note in built.notes if "right with probability" in note)
    return replace(
        row,
        probability=float(traced.split("probability ")[1][:4]),
        inverted=int("inverse of the map" in built.origin),
        backbone=backbone,
        all_atoms=all_atoms,
        r_work=built.r.r_work,
        r_free=built.r.r_free,
        program=built.program,
        building=_processor_time() - begun,
        message=built.failure,
    )


def _processor_time() -> float:
    """Processor time of this process and of those that it started and that have ended, s."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(x.ru_utime + x.ru_stime for x in used)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _table(arguments: argparse.Namespace) -> None:
    from crysformer.building.tracing.settings import TracingSettings

    print(
        "| crystals | n | phases right | of them of the other hand | R < 0.38 | all atoms <= 0.2 A "
        "| <= 0.3 A | backbone <= 0.5 A | accepted | accepted and wrong | solving (s) "
        "| building (s), median, most |\n" + "|---" * 12 + "|"
    )
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in _read(arguments.rows):
        groups.setdefault((row["data"], row["split"]), []).append(row)
    for (data, split), rows in sorted(groups.items()):
        x = {
            f.name: np.array([float(r[f.name]) for r in rows])
            for f in fields(Row)
            if f.type in ("int", "float")
        }
        accepted, right = x["probability"] >= TracingSettings().accepted, x["backbone"] <= BACKBONE
        cells = [
            f"{data}, {split}", len(rows), (x["phase_error"] < 40).sum(),
            ((x["phase_error"] < 40) & (x["right_hand"] == 0)).sum(),
            (x["r_work"] < R_PAPER).sum(), *((x["all_atoms"] <= most).sum() for most in ALL_ATOMS),
            right.sum(), accepted.sum(), (accepted & ~right).sum(), f"{x['solving'].mean():.1f}",
            f"{np.median(x['building']):.1f}, {x['building'].max():.1f}",
        ]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
