"""Crystals to compare with gemmi on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.fourier.structure_factors import AtomBatch

CELLS = {
    "P 1": (9.1, 11.3, 12.7, 77.0, 83.5, 101.2),
    "P 1 21 1": (12.4, 9.3, 14.1, 90.0, 106.4, 90.0),
    "P 21 21 21": (10.2, 13.5, 17.3, 90.0, 90.0, 90.0),
    "C 1 2 1": (19.3, 8.7, 12.9, 90.0, 111.7, 90.0),
}


def make_structure(space_group: str, n_atoms: int = 12, seed: int = 0) -> gemmi.Structure:
    """Random atoms in the asymmetric unit of one of `CELLS`: any element, B and occupancy."""
    rng = np.random.default_rng(seed)
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(*CELLS[space_group])
    structure.spacegroup_hm = space_group
    structure.setup_cell_images()
    residue = gemmi.Residue()
    elements = rng.choice(["C", "N", "O", "S", "Se", "Zn", "H"], n_atoms)
    for element in elements:
        atom = gemmi.Atom()
        atom.element = gemmi.Element(str(element))
        atom.pos = structure.cell.orthogonalize(gemmi.Fractional(*rng.random(3)))
        atom.b_iso = rng.uniform(5, 40)
        atom.occ = rng.uniform(0.3, 1.0)
        residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    return structure


def cell_contents(structure: gemmi.Structure) -> AtomBatch:
    """All atoms of the unit cell as a batch of one, in float64."""
    operations = list(structure.find_spacegroup().operations())
    atoms = [site.atom for site in structure[0].all()]
    frac = [
        op.apply_to_xyz(structure.cell.fractionalize(atom.pos).tolist())
        for op in operations
        for atom in atoms
    ]
    repeated = atoms * len(operations)
    return AtomBatch(
        frac=torch.tensor([frac], dtype=torch.float64),
        number=torch.tensor([[atom.element.atomic_number for atom in repeated]]),
        b_iso=torch.tensor([[atom.b_iso for atom in repeated]], dtype=torch.float64),
        occupancy=torch.tensor([[atom.occ for atom in repeated]], dtype=torch.float64),
    )


def orthogonalisation(cell: gemmi.UnitCell) -> torch.Tensor:
    return torch.tensor(cell.orth.mat.tolist(), dtype=torch.float64)


@pytest.fixture(scope="session")
def random_structure() -> Callable[..., gemmi.Structure]:
    return make_structure


@pytest.fixture(scope="session")
def contents() -> Callable[[gemmi.Structure], AtomBatch]:
    return cell_contents


@pytest.fixture(scope="session")
def orth_of() -> Callable[[gemmi.UnitCell], torch.Tensor]:
    return orthogonalisation


@pytest.fixture(scope="session")
def fifteen() -> gemmi.Structure:
    """A 15-residue fragment in the cell of the 15-residue recipe."""
    path = Path(__file__).parents[1] / "samples" / "4ZTK_15mer.pdb"
    return gemmi.read_structure(str(path))


MtzColumn = tuple[str, str, np.ndarray]


def make_mtz(
    path: Path,
    hkl: np.ndarray,
    columns: list[MtzColumn],
    *,
    cell: tuple[float, ...] | None = (20.0, 23.0, 31.0, 90.0, 90.0, 90.0),
    space_group: str | None = "P 21 21 21",
) -> Path:
    """Write an MTZ file of (label, type, values) columns, also one that lacks cell or symmetry."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(space_group or "P 1")
    mtz.add_dataset("test")
    if cell:
        mtz.set_cell_for_all(gemmi.UnitCell(*cell))
    for label, column_type, _ in columns:
        mtz.add_column(label, column_type)
    mtz.set_data(np.column_stack([hkl, *(values for *_, values in columns)]).astype(np.float32))
    mtz.write_to_file(str(path))
    if not space_group:  # gemmi writes none without: make its header records unknown ones
        content = path.read_bytes()
        path.write_bytes(content.replace(b"SYMINF", b"XXXXXX").replace(b"SYMM ", b"XXXX "))
    return path


@pytest.fixture(scope="session")
def write_mtz() -> Callable[..., Path]:
    return make_mtz


@pytest.fixture(scope="session")
def unique_hkl() -> np.ndarray:
    """Reflections of P 21 21 21, 20 x 23 x 31 A, to 2.5 A, in gemmi's asymmetric unit."""
    cell = gemmi.UnitCell(20, 23, 31, 90, 90, 90)
    return gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 21 21 21"), 2.5)
