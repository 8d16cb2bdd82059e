"""A fragment as a measured crystal: amplitudes with errors and gaps, and the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.density import DensityMap
from crysformer.crystal.maps import density_from_grid, grid_shape, hkl_to_grid
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.structure_factors import AtomBatch, structure_factors
from crysformer.data.cells import build_cells
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentTable

#: SIGF / F where no error is added, so that programs that weight by it have something sensible.
_NOMINAL_ERROR = 0.01
#: SIGF of weaker reflections is that of this share of the rms amplitude: no SIGF is zero.
_WEAK = 0.1


@dataclass(frozen=True, eq=False)
class SyntheticCrystal:
    """A P1 crystal of one fragment.

    Attributes
    ----------
    data
        What a program may see: amplitudes (electrons), NaN where not measured.
    f_true
        Error-free amplitudes of all reflections, shape (n,).
    phi_true
        Phases of all reflections, shape (n,), degrees, centre of mass at the cell centre.
    density
        The true density at this resolution, e/A^3, F(000) absent.
    sequence
        One-letter codes.
    id
        The fragment's id in the data set.
    structure
        The atoms in their cell.
    """

    data: CrystalData
    f_true: NDArray[np.float64]
    phi_true: NDArray[np.float64]
    density: DensityMap
    sequence: str
    id: str
    structure: gemmi.Structure


def synthetic_crystal(
    table: FragmentTable,
    index: int,
    recipe: Recipe,
    d_min: float | None = None,
    amplitude_error: float = 0.0,
    completeness: float = 1.0,
    seed: int = 0,
) -> SyntheticCrystal:
    """Make the crystal of one fragment, in its stored orientation.

    Parameters
    ----------
    table, index
        The fragment.
    recipe
        How its cell is built.
    d_min
        Resolution, A; the recipe's by default.
    amplitude_error
        x: amplitudes become F (1 + x N(0, 1)), not below zero. SIGF is x times the amplitude
        with its error, or times a tenth of their rms if that is more: it tells nothing about the
        error-free amplitude. For x = 0 they are exact and SIGF is nominal (x = 1 %).
    completeness
        Share of the reflections that are measured, chosen at random; the others are NaN.
    seed
        Seed of the errors and the gaps; different fragments draw differently.

    Raises
    ------
    ValueError
        If `completeness` is not in (0, 1] or `amplitude_error` is negative.
    """
    if not 0 < completeness <= 1 or amplitude_error < 0:
        raise ValueError(
            f"completeness {completeness}, amplitude_error {amplitude_error}: expected a share in "
            "(0, 1] and an error >= 0"
        )
    d_min = recipe.d_min if d_min is None else d_min
    xyz, number, cell = cell_contents(table, index, recipe)
    space_group = gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(cell, space_group, d_min)
    atoms = AtomBatch(
        frac=torch.from_numpy(xyz / np.array(cell.parameters[:3]))[None],
        number=torch.from_numpy(number.astype(np.int64))[None],
        b_iso=torch.full((1, len(number)), recipe.b_iso, dtype=torch.float64),
        occupancy=torch.ones((1, len(number)), dtype=torch.float64),
    )
    orth = torch.diag(torch.tensor(cell.parameters[:3], dtype=torch.float64))
    indices = torch.from_numpy(np.ascontiguousarray(hkl))
    F = structure_factors(atoms, orth, indices)[0]
    shape = grid_shape(cell, d_min, recipe.sample_rate)
    rho = density_from_grid(hkl_to_grid(indices, F, shape)[None], shape, cell.volume)[0]

    f_true = F.abs().numpy()
    rng = np.random.default_rng((seed, index))
    f = np.maximum(f_true * (1 + amplitude_error * rng.standard_normal(len(f_true))), 0.0)
    f[rng.permutation(len(f))[round(completeness * len(f)) :]] = np.nan
    floor = _WEAK * np.sqrt(np.nanmean(f**2))
    sigf = (amplitude_error or _NOMINAL_ERROR) * np.maximum(f, floor)
    return SyntheticCrystal(
        data=CrystalData(
            cell=cell,
            space_group=space_group,
            hkl=hkl.astype(np.int32),
            f=f,
            sigf=sigf,
            source=table.id[index],
            labels=("F", "SIGF"),
        ),
        f_true=f_true,
        phi_true=np.rad2deg(F.angle().numpy()),
        density=DensityMap(rho.numpy().astype(np.float32), cell, space_group),
        sequence=table.sequence[index],
        id=table.id[index],
        structure=fragment_structure(table, index, xyz, cell, recipe),
    )


def cell_contents(
    table: FragmentTable, index: int, recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.uint8], gemmi.UnitCell]:
    """Coordinates in the cell (N, 3), A, atomic numbers (N,), and the cell of one fragment."""
    rows = table.atoms(index)
    number = table.number[rows]
    cells = build_cells(
        torch.from_numpy(table.xyz[rows].astype(np.float64))[None],
        torch.from_numpy(number.astype(np.int64))[None],
        recipe,
    )
    a, b, c = cells.lengths[0].tolist()
    return cells.xyz[0].numpy(), number, gemmi.UnitCell(a, b, c, 90, 90, 90)


def fragment_structure(
    table: FragmentTable,
    index: int,
    xyz: NDArray[np.float64],
    cell: gemmi.UnitCell,
    recipe: Recipe,
) -> gemmi.Structure:
    """One fragment as a gemmi structure: chain A, residues from 1, the recipe's B."""
    rows = table.atoms(index)
    chain = gemmi.Chain("A")
    names = table.atom_names(index)
    for i, letter in enumerate(table.sequence[index]):
        residue = gemmi.Residue()
        residue.name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
        residue.seqid = gemmi.SeqId(i + 1, " ")
        residue.entity_type = gemmi.EntityType.Polymer
        for j in np.flatnonzero(table.residue[rows] == i).tolist():
            atom = gemmi.Atom()
            atom.name = names[j]
            atom.element = gemmi.Element(int(table.number[rows][j]))
            atom.pos = gemmi.Position(*xyz[j])
            atom.occ = 1.0
            atom.b_iso = recipe.b_iso
            residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure = gemmi.Structure()
    structure.name = table.id[index]
    structure.cell = cell
    structure.spacegroup_hm = "P 1"
    structure.add_model(model)
    structure.setup_entities()
    return structure
