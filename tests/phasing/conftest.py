"""Crystals whose phases are known: fragments in cells of the recipes, and any atoms in any cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import PhaseComparison, compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.crystal.reflections import CrystalData
from crysformer.data.recipe import DIPEPTIDE, FIFTEEN, Recipe
from crysformer.data.store import FragmentTable
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.peptide.residues import ATOMS, INDEX
from crysformer.phasing.p1_grid import P1Grid
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True, eq=False)
class KnownCrystal:
    """A crystal with its answer.

    `phi_true` in degrees as `data.hkl`; the atoms are those of the asymmetric unit.
    """

    data: CrystalData
    f_true: NDArray[np.float64]
    phi_true: NDArray[np.float64]
    frac: NDArray[np.float64]
    number: NDArray[np.int64]
    sequence: str = ""

    @property
    def phased(self) -> NDArray[np.complex128]:
        """Measured amplitudes with the true phases, (n,); zero where not measured."""
        return np.nan_to_num(self.data.f) * np.exp(1j * np.deg2rad(self.phi_true))

    def start(
        self, problem: P1Grid, phase_errors: Sequence[float] = (0.0,), seed: int = 0
    ) -> torch.Tensor:
        """Half grids of the true phases with mean errors of so many degrees, one each."""
        rng = np.random.default_rng(seed)
        grids = [
            problem.to_grid(
                self.phased / problem.scale * np.exp(1j * random_errors(error, len(self.data), rng))
            )
            for error in phase_errors
        ]
        return torch.stack(grids)

    def compare(self, F: torch.Tensor) -> PhaseComparison:
        """A half grid against the truth, origin and hand aligned."""
        listed = grid_to_hkl(F.cpu(), torch.as_tensor(self.data.hkl)).numpy()
        phi = np.where(np.abs(listed) > 0, np.rad2deg(np.angle(listed)), np.nan)
        return self.compare_phases(phi)

    def compare_phases(self, phi: NDArray[np.float64]) -> PhaseComparison:
        """Phases (n,) in degrees against the truth, origin and hand aligned."""
        data = self.data
        return compare_phases(data.hkl, data.f, phi, self.phi_true, data.cell, data.space_group)


def random_errors(mean: float, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Phase errors in radians, normal, whose mean absolute value is `mean` degrees."""
    return np.deg2rad(mean * np.sqrt(np.pi / 2)) * rng.standard_normal(n)


def known_crystal(
    cell: gemmi.UnitCell,
    space_group: str,
    frac: NDArray[np.float64],
    number: NDArray[np.int64],
    b_iso: float = 20.0,
    d_min: float = 1.5,
) -> KnownCrystal:
    """Atoms of an asymmetric unit as a crystal with exact amplitudes."""
    group = gemmi.SpaceGroup(space_group)
    operations = list(group.operations())
    sites = np.concatenate([[op.apply_to_xyz(x.tolist()) for x in frac] for op in operations])
    hkl = gemmi.make_miller_array(cell, group, d_min).astype(np.int32)
    atoms = AtomBatch(
        frac=torch.from_numpy(sites)[None],
        number=torch.from_numpy(np.tile(number, len(operations)))[None],
        b_iso=torch.full((1, len(sites)), b_iso, dtype=torch.float64),
        occupancy=torch.ones((1, len(sites)), dtype=torch.float64),
    )
    orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float64)
    F = structure_factors(atoms, orth, torch.from_numpy(hkl))[0].numpy()
    data = CrystalData(cell, group, hkl, np.abs(F), 0.01 * np.abs(F), source="test crystal")
    return KnownCrystal(data, np.abs(F), np.rad2deg(np.angle(F)), frac, number)


def fragment_table(recipe: Recipe) -> FragmentTable:
    """Disjoint fragments of the structures in tests/samples."""
    xyz, sequences, names = [], [], []
    for path in sorted(SAMPLES.glob("*_15mer.pdb")):
        chain = [r for r in gemmi.read_structure(str(path))[0][0] if r.name in INDEX]
        n = recipe.n_residues
        for start in range(0, len(chain) - n + 1, n):
            part = chain[start : start + n]
            atoms = [r[name][0].pos.tolist() for r in part for name in ATOMS[INDEX[r.name]]]
            xyz.append(np.array(atoms, dtype=np.float32))
            sequences.append(gemmi.one_letter_code([r.name for r in part]))
            names.append(f"{path.stem}_{start}")
    return FragmentTable(
        xyz=np.concatenate(xyz),
        offset=np.cumsum([0, *(len(part) for part in xyz)]),
        sequence=sequences,
        id=names,
        entry=names,
        chain=["A"] * len(xyz),
        cluster=names,
        start=np.zeros(len(xyz), dtype=np.int32),
        cell=np.zeros((len(xyz), 3), dtype=np.float32),
        split="test",
    )


CrystalMaker = Callable[..., KnownCrystal]


def _maker(recipe: Recipe) -> CrystalMaker:
    table = fragment_table(recipe)

    def make(index: int = 0, **options: float) -> KnownCrystal:
        made = synthetic_crystal(table, index, recipe, **options)  # type: ignore[arg-type]
        cell = made.data.cell
        sites = [site.atom for site in made.structure[0].all()]
        return KnownCrystal(
            data=made.data,
            f_true=made.f_true,
            phi_true=made.phi_true,
            frac=np.array([cell.fractionalize(atom.pos).tolist() for atom in sites]),
            number=np.array([atom.element.atomic_number for atom in sites]),
            sequence=made.sequence,
        )

    return make


@pytest.fixture(scope="session")
def dipeptide() -> CrystalMaker:
    """Dipeptides in tight P1 cells: call with an index and options of `synthetic_crystal`."""
    return _maker(DIPEPTIDE)


@pytest.fixture(scope="session")
def fifteen() -> CrystalMaker:
    """15 residues in 41 x 30 x 24 A: call with an index and options of `synthetic_crystal`."""
    return _maker(FIFTEEN)


@pytest.fixture(scope="session")
def make_crystal() -> CrystalMaker:
    """Atoms in any space group: call with cell, group, fractional coordinates and numbers."""
    return known_crystal


@pytest.fixture(scope="session")
def random_data() -> Callable[..., CrystalData]:
    """Amplitudes of no structure, with the fall-off of one: call with a seed."""

    def make(seed: int = 0) -> CrystalData:
        cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5).astype(np.int32)
        fall_off = np.exp(-0.25 * 30 * cell.calculate_1_d2_array(hkl))
        f = 30 * fall_off * np.random.default_rng(seed).rayleigh(size=len(hkl))
        return CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f, source="noise.mtz")

    return make


def data_of(
    xyz: torch.Tensor,
    number: NDArray[np.int64],
    cell: gemmi.UnitCell,
    d_min: float,
    b_iso: float = 10.0,
) -> CrystalData:
    """Exact amplitudes of atoms, shape (n, 3), A, in P21."""
    group = gemmi.SpaceGroup("P 1 21 1")
    hkl = gemmi.make_miller_array(cell, group, d_min)
    data = CrystalData(cell, group, hkl, np.ones(len(hkl)))
    F = AmplitudeTarget(data, number, b_iso, by_element=True).structure_factors(xyz[None].float())
    return replace(data, f=np.abs(F[0]), sigf=0.02 * np.abs(F[0]))


@pytest.fixture(scope="session")
def model_data() -> Callable[..., CrystalData]:
    """Exact amplitudes of atoms in P21: call with the arguments of `data_of`."""
    return data_of
