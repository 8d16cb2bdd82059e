"""Synthetic crystals of small organic molecules in any of the common space groups."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.atom_batch import AtomBatch
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.structure_factors import structure_factors
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.site_symmetry import site_symmetry
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.data.recipe import Recipe
from crysformer.data.synthetic.measurement_model import ErrorModel, measure
from crysformer.data.synthetic.molecular_packing import MolecularCrystal, pack_molecule
from crysformer.data.synthetic.small_molecules import SmallMolecule, random_molecule
from crysformer.data.synthetic.special_sites import Element, special_site, symmetric_molecule

_ERRORS = ErrorModel(amplitude_error=0.05)
#: B of a hydrogen to that of its neighbour.
_B_OF_HYDROGEN = 1.2
#: Groups in which four in five organic crystals with one molecule in the asymmetric unit are found.
COMMON_GROUPS = ("P-1", "P 1 21/c 1", "P b c a", "P 21 21 21", "C 1 2 1")


@dataclass(frozen=True, eq=False)
class SmallMoleculeCrystal:
    """A crystal of one molecule in the asymmetric unit: simulated measurements and the truth.

    Attributes
    ----------
    data
        The simulated measurements, in `stated_group`: unique reflections of that group, the
        absences that it lacks among them.
    f_true
        Error-free amplitudes of all of `data.hkl`, shape (n,), electrons.
    phi_true
        Phases of all of `data.hkl`, shape (n,), degrees, at the origin of `space_group`.
    density
        The true density at this resolution, e/A^3, F(000) absent.
    space_group
        The true space group; `data.space_group` is the stated one.
    molecule
        The molecule, hydrogens included.
    structure
        The asymmetric unit.
    """

    data: CrystalData
    f_true: NDArray[np.float64]
    phi_true: NDArray[np.float64]
    density: DensityMap
    space_group: gemmi.SpaceGroup
    molecule: SmallMolecule
    structure: gemmi.SmallStructure


def small_molecule_crystal(
    space_group: str,
    seed: int,
    *,
    n_atoms: int | None = None,
    molecule: SmallMolecule | None = None,
    d_min: float = 0.8,
    b_range: tuple[float, float] = (1.0, 4.0),
    errors: ErrorModel = _ERRORS,
    stated_group: str | None = None,
    element: Element | None = None,
) -> SmallMoleculeCrystal:
    """Simulate a crystal of a random organic molecule (C, N, O, some S and Cl, hydrogens).

    The same seed gives the same molecule in every space group, and the same crystal whatever the
    resolution, errors and stated group.

    Parameters
    ----------
    space_group
        True space group: triclinic, monoclinic (unique axis b) or orthorhombic.
    seed
        Seed of molecule, packing, B and errors.
    n_atoms
        Atoms of the molecule other than hydrogen; 20 to 60 at random by default.
    molecule
        The molecule instead of a random one, at a general position.
    d_min
        Resolution, A.
    b_range
        B of each atom is drawn uniformly between these, A^2; of a hydrogen it is 1.2 times that
        of its neighbour.
    errors
        Errors and missing reflections.
    stated_group
        Space group in which the data are merged and listed; by default the true one. A subgroup
        in the same cell and setting stands for data whose symmetry was not recognised: mates that
        it does not relate are measured separately.
    element
        Symmetry element on which the molecule lies, of `n_atoms` or 10 to 30 atoms on each side of
        a sulphur; by default it is at a general position.

    Raises
    ------
    ValueError
        If the crystal system is not supported.
    """
    size, growth, packing, displacement, measurement = (
        np.random.default_rng((seed, purpose)) for purpose in range(5)
    )
    if n_atoms is None:
        n_atoms = int(size.integers(20, 61)) // (1 if element is None else 2)
    group = gemmi.SpaceGroup(space_group)
    stated = group if stated_group is None else gemmi.SpaceGroup(stated_group)
    if element is None:
        molecule = molecule or random_molecule(n_atoms, growth)
        crystal = pack_molecule(molecule, group, packing)
        unique = np.ones(len(molecule.number), dtype=bool)
    else:
        symmetric = symmetric_molecule(n_atoms, element, growth)
        molecule, unique = symmetric.molecule, symmetric.unique
        crystal = pack_molecule(molecule, group, packing, special_site(group, element))
    asymmetric = MolecularCrystal(crystal.cell, group, crystal.frac[unique])
    number = molecule.number[unique]
    b_iso = _b_iso(molecule, b_range, displacement)[unique]
    atoms = _cell_contents(asymmetric, number, b_iso)

    cell = crystal.cell
    hkl = np.asarray(gemmi.make_miller_array(cell, stated, d_min), dtype=np.int32)
    F = _structure_factors(atoms, cell, hkl)
    f_true = np.abs(F)
    absent = np.asarray(group.operations().systematic_absences(hkl), dtype=bool)
    f_true[absent] = 0.0
    f, sigf = measure(f_true, hkl, cell, errors, measurement, stated)
    # an absent reflection is measured as background: its error is not a fraction of its amplitude
    f = np.where(absent, np.abs(measurement.standard_normal(len(f))) * sigf, f)
    data = CrystalData(
        cell=cell,
        space_group=stated,
        hkl=hkl,
        f=f,
        sigf=sigf,
        source=f"molecule {seed} in {group.xhm()}",
        labels=("F", "SIGF"),
    )
    return SmallMoleculeCrystal(
        data=data,
        f_true=f_true,
        phi_true=np.mod(np.rad2deg(np.angle(F)), 360.0),
        density=_density(atoms, asymmetric, d_min),
        space_group=group,
        molecule=molecule,
        structure=_structure(asymmetric, number, b_iso),
    )


def _b_iso(
    molecule: SmallMolecule, b_range: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    b_iso = rng.uniform(*b_range, size=len(molecule.number))
    for i, j in molecule.bonds:  # i < j: hydrogens come last
        if molecule.number[j] == 1:
            b_iso[j] = _B_OF_HYDROGEN * b_iso[i]
    return b_iso


def _cell_contents(
    crystal: MolecularCrystal, number: NDArray[np.int64], b_iso: NDArray[np.float64]
) -> AtomBatch:
    """All atoms of the cell; those on special positions coincide, with an occupancy in parts."""
    ops = operators(crystal.space_group, centred=True)
    frac = np.concatenate([crystal.frac @ R.T + t for R, t in ops])
    b = torch.from_numpy(np.tile(b_iso, len(ops)))[None]
    order = site_symmetry(crystal.frac, crystal.cell, crystal.space_group).order
    part = torch.from_numpy(np.tile(1.0 / order, len(ops)))[None]
    tiled = torch.from_numpy(np.tile(number, len(ops)))[None]
    return AtomBatch(torch.from_numpy(frac)[None], tiled, b, part)


def _density(atoms: AtomBatch, crystal: MolecularCrystal, d_min: float) -> DensityMap:
    cell, group = crystal.cell, crystal.space_group
    hkl = np.asarray(gemmi.make_miller_array(cell, group, d_min), dtype=np.int32)
    F = _structure_factors(atoms, cell, hkl)
    asu = gemmi.ComplexAsuData(cell, group, hkl, F.astype(np.complex64))
    grid = asu.transform_f_phi_to_map(sample_rate=Recipe.sample_rate)
    return DensityMap(np.array(grid.array, dtype=np.float32), cell, group)


def _structure_factors(
    atoms: AtomBatch, cell: gemmi.UnitCell, hkl: NDArray[np.int32]
) -> NDArray[np.complex128]:
    orth = torch.from_numpy(orth_matrix(cell))
    return np.asarray(structure_factors(atoms, orth, torch.from_numpy(hkl))[0].numpy())


def _structure(
    crystal: MolecularCrystal, numbers: NDArray[np.int64], b_iso: NDArray[np.float64]
) -> gemmi.SmallStructure:
    structure = gemmi.SmallStructure()
    structure.cell = crystal.cell
    structure.spacegroup = crystal.space_group
    structure.spacegroup_hm = crystal.space_group.xhm()
    count: dict[str, int] = {}
    for number, frac, b in zip(numbers, crystal.frac, b_iso, strict=True):
        site = gemmi.SmallStructure.Site()
        site.element = gemmi.Element(int(number))
        name = site.element.name
        count[name] = count.get(name, 0) + 1
        site.label = f"{name}{count[name]}"
        site.type_symbol = name
        site.fract = gemmi.Fractional(*frac)
        site.u_iso = float(b) / (8 * np.pi**2)
        site.occ = 1.0
        structure.add_site(site)
    structure.setup_cell_images()
    return structure
