"""Density maps per second: this engine beside gemmi, in one run, one thread each.

Compared, from coordinates to a density map on the same grid at 1.5 A:

  processes    `gemmi sfcalc` then `gemmi sf2map`, one pair of processes a fragment, files between
  in process   the same in gemmi's Python module: Gaussians on a grid, FFT, cut at d_min, FFT
  crysformer   batched direct summation and FFT, density alone and density with Patterson map

Dipeptides are cut from the given structures, rotated at random and put into tight cells by the
recipe; 15-residue fragments are used whole, in the recipe's cell. Rounds of the methods alternate,
so that other load on the machine hits all alike; the best and the median round are reported, and
the correlation of each method's maps with those of the process pair (with gemmi in process if there
is no gemmi program: `pip install gemmi-program`).

    python benchmarks/engine.py --output benchmarks/engine.md
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import gemmi
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import pearson
from crysformer.crystal.fourier.grids import (
    Shape,
    density_from_grid,
    grid_shape,
    patterson_from_grid,
)
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factor_grid
from crysformer.data.recipe import DIPEPTIDE, FIFTEEN, Recipe
from crysformer.data.synthetic.fitted_cells import build_cells
from crysformer.files import atomic_path
from crysformer.report.hardware import machine

SAMPLES = Path(__file__).parents[1] / "tests" / "samples"
D_MIN = 1.5
BATCH = {DIPEPTIDE.name: 64, FIFTEEN.name: 8}


@dataclass
class Fragment:
    """A fragment in its cell, as gemmi and as this package take it."""

    structure: gemmi.Structure
    frac: np.ndarray
    number: np.ndarray
    shape: Shape


def fragments(paths: list[Path], recipe: Recipe, count: int) -> list[Fragment]:
    """`count` fragments of the recipe's length, each in a random orientation."""
    windows = []
    for path in paths:
        structure = gemmi.read_structure(str(path))
        structure.remove_hydrogens()
        for chain in structure[0]:
            residues = [r for r in chain if gemmi.find_tabulated_residue(r.name).is_amino_acid()]
            starts = range(len(residues) - recipe.n_residues + 1)
            windows += [residues[i : i + recipe.n_residues] for i in starts]
    if not windows:
        raise SystemExit(f"no {recipe.n_residues} amino acids in a row in the given structures")
    rotations = Rotation.random(count, rng=np.random.default_rng(0))
    if recipe.fixed_cell:  # made to fit as they are
        rotations = Rotation.identity(count)
    found = []
    for i in range(count):
        window = windows[i % len(windows)]
        atoms = [atom for residue in window for atom in residue]
        xyz = rotations[i].apply([atom.pos.tolist() for atom in atoms])
        number = np.array([atom.element.atomic_number for atom in atoms])
        cells = build_cells(torch.from_numpy(xyz)[None], torch.from_numpy(number)[None], recipe)
        a, b, c = cells.lengths[0].tolist()
        found.append(
            Fragment(
                as_structure(window, cells.xyz[0].numpy(), (a, b, c)),
                cells.frac[0].numpy(),
                number,
                grid_shape((a, b, c), D_MIN, recipe.sample_rate, multiple_of=4),
            )
        )
    return found


def as_structure(
    residues: list[gemmi.Residue], xyz: np.ndarray, lengths: tuple[float, float, float]
) -> gemmi.Structure:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(*lengths, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    chain = gemmi.Chain("A")
    for residue in residues:
        chain.add_residue(residue.clone())
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    for site, position in zip(structure[0].all(), xyz, strict=True):
        site.atom.pos = gemmi.Position(*position)
        site.atom.b_iso, site.atom.occ = DIPEPTIDE.b_iso, 1.0
    return structure


def by_processes(gemmi_program: str, folder: Path, chosen: list[Fragment]) -> list[np.ndarray]:
    """Maps are left in files and read for the comparison only, outside the clock."""
    for i, fragment in enumerate(chosen):
        base = folder / str(i)
        grid = ",".join(map(str, fragment.shape))
        commands = [
            ["sfcalc", f"--dmin={D_MIN}", f"--to-mtz={base}.mtz", f"{base}.pdb"],
            ["sf2map", "-f", "FC", "-p", "PHIC", "--exact", f"--grid={grid}",
             f"{base}.mtz", f"{base}.ccp4"],
        ]  # fmt: skip
        for command in commands:
            subprocess.run([gemmi_program, *command], check=True, stdout=subprocess.DEVNULL)
    return []


def in_process(chosen: list[Fragment]) -> list[np.ndarray]:
    maps = []
    for fragment in chosen:
        calculator = gemmi.DensityCalculatorX()
        calculator.d_min, calculator.rate = D_MIN, 1.5
        calculator.set_refmac_compatible_blur(fragment.structure[0])
        calculator.grid.setup_from(fragment.structure)
        calculator.put_model_density_on_grid(fragment.structure[0])
        reciprocal = gemmi.transform_map_to_f_phi(calculator.grid, half_l=True)
        data = reciprocal.prepare_asu_data(dmin=D_MIN, unblur=calculator.blur)
        maps.append(np.array(data.transform_f_phi_to_map(exact_size=fragment.shape)))
    return maps


@dataclass
class PreparedBatch:
    """Fragments that share a grid, as tensors."""

    atoms: AtomBatch
    orth: torch.Tensor
    shape: Shape
    rows: list[int]


def prepare(chosen: list[Fragment], size: int, device: str) -> list[PreparedBatch]:
    groups = defaultdict(list)
    for row, fragment in enumerate(chosen):
        groups[fragment.shape].append(row)
    batches = []
    for shape, rows in groups.items():
        for start in range(0, len(rows), size):
            part = [chosen[row] for row in rows[start : start + size]]
            longest = max(len(fragment.number) for fragment in part)
            frac = np.zeros((len(part), longest, 3), dtype=np.float32)
            number = np.zeros((len(part), longest), dtype=np.int64)
            for i, fragment in enumerate(part):
                frac[i, : len(fragment.number)] = fragment.frac
                number[i, : len(fragment.number)] = fragment.number
            occupancy = torch.from_numpy((number > 0).astype(np.float32))
            b_iso = torch.full(number.shape, DIPEPTIDE.b_iso)
            atoms = AtomBatch(torch.from_numpy(frac), torch.from_numpy(number), b_iso, occupancy)
            lengths = torch.tensor([fragment.structure.cell.parameters[:3] for fragment in part])
            orth = torch.diag_embed(lengths).to(device)
            batches.append(PreparedBatch(atoms.to(device), orth, shape, rows[start : start + size]))
    return batches


def by_crysformer(batches: list[PreparedBatch], patterson: bool) -> list[np.ndarray]:
    maps: dict[int, np.ndarray] = {}
    for batch in batches:
        volume = batch.orth.diagonal(dim1=1, dim2=2).prod(1)
        F = structure_factor_grid(batch.atoms, batch.orth, batch.shape, D_MIN)
        rho = density_from_grid(F, batch.shape, volume)
        if patterson:
            patterson_from_grid(F, batch.shape, volume)
        maps.update(zip(batch.rows, rho.cpu().numpy(), strict=True))
    return [maps[row] for row in sorted(maps)]


@dataclass
class Result:
    """Seconds that one method took for `n` maps, round by round."""

    n: int
    seconds: list[float]
    maps: list[np.ndarray]

    def rates(self) -> tuple[float, float]:
        """Maps per second in the best and in the median round."""
        return self.n / min(self.seconds), self.n / statistics.median(self.seconds)


def measure(
    methods: dict[str, tuple[int, Callable[[], list[np.ndarray]]]], rounds: int
) -> dict[str, Result]:
    """Time every method in turn, `rounds` times, after one round that does not count."""
    results = {name: Result(n, [], run()) for name, (n, run) in methods.items()}
    for _ in range(rounds):
        for name, (_, run) in methods.items():
            start = time.perf_counter()
            run()
            results[name].seconds.append(time.perf_counter() - start)
    return results


def compare_methods(
    paths: list[Path], recipe: Recipe, program: str | None, rounds: int, counts: tuple[int, int]
) -> dict[str, Result]:
    """All methods on the same fragments; the slow ones on the first `counts[0]` of them."""
    few, many = counts
    chosen = fragments(paths, recipe, many)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        methods: dict[str, tuple[int, Callable[[], list[np.ndarray]]]] = {}
        if program:
            for i, fragment in enumerate(chosen[:few]):
                fragment.structure.write_pdb(str(folder / f"{i}.pdb"))
            methods["gemmi, two processes"] = (
                few, lambda: by_processes(program, folder, chosen[:few])
            )  # fmt: skip
        methods["gemmi, in process"] = (few, lambda: in_process(chosen[:few]))
        for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
            batches = prepare(chosen, BATCH[recipe.name], device)
            for patterson, label in ((False, "density"), (True, "density + Patterson")):
                run = functools.partial(by_crysformer, batches, patterson)
                methods[f"crysformer, {label}, {device}"] = (many, run)
        results = measure(methods, rounds)
        if program:
            results["gemmi, two processes"].maps = [
                np.array(gemmi.read_ccp4_map(str(folder / f"{i}.ccp4"), setup=True).grid)
                for i in range(few)
            ]
    return results


def table(title: str, results: dict[str, Result]) -> list[str]:
    baseline = next(iter(results.values()))
    _, baseline_median = baseline.rates()
    lines = [
        f"### {title}",
        "",
        "| method | maps/s, best round | maps/s, median | times the first | correlation |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, result in results.items():
        correlation = min(
            float(pearson(torch.tensor(a)[None].double(), torch.tensor(b)[None].double()))
            for a, b in zip(result.maps, baseline.maps, strict=False)
        )
        best, median = result.rates()
        lines.append(
            f"| {name} | {best:.1f} | {median:.1f} | {median / baseline_median:.1f} "
            f"| {correlation:.7f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--structures", nargs="+", type=Path, default=sorted(SAMPLES.glob("*_15mer.pdb")),
        help="PDB or mmCIF files to cut fragments from (default: the samples of the tests)",
    )  # fmt: skip
    parser.add_argument("--gemmi", help="the gemmi program (default: beside Python, or on PATH)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, help="also write the report here (Markdown)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    beside = str(Path(sys.executable).parent)
    program = args.gemmi or shutil.which("gemmi", path=beside) or shutil.which("gemmi")

    lines = ["# Engine benchmark", "", f"{datetime.date.today()}. {machine()}. One thread.", ""]
    if not program:
        lines += ["No gemmi program found (`pip install gemmi-program`): process pair skipped.", ""]
    for recipe, counts in ((DIPEPTIDE, (16, 512)), (FIFTEEN, (8, 16))):
        results = compare_methods(args.structures, recipe, program, args.rounds, counts)
        title = f"{recipe.name}: {recipe.n_residues} residues, {D_MIN} A"
        lines += table(title, results)
    lines += [
        "Correlation: the lowest over the maps, with the first method's. In 41 x 30 x 24 A cells",
        "four reflections lie at 1.4999999 A: crysformer counts them as on the limit, gemmi does",
        "not. Made by `python benchmarks/engine.py`, whose head says what is compared.",
    ]
    report = "\n".join(lines) + "\n"
    print(report, end="")
    if args.output:
        with atomic_path(args.output) as temporary:
            temporary.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
