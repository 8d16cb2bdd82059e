"""Structure factors of an atomic model and of its solvent mask, by gemmi."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData

#: Atoms x operators x reflections up to which the sum is direct; beyond, by Fourier transform.
_DIRECT = 2_000_000
#: Points of the density grid for each d_min / 2, of which a blurred density needs few.
_RATE: Final = 2.0
_MARGIN = 0.999  # of d_min: reflections on the limit are inside
_MASK_SPACING = 0.4  # A, and at most a quarter of d_min


def in_crystal(structure: gemmi.Structure, data: CrystalData) -> gemmi.Structure:
    """Copy of a structure with cell, space group and symmetry images of the data."""
    copy = structure.clone()
    copy.cell = data.cell
    copy.spacegroup_hm = data.space_group.xhm()
    copy.setup_cell_images()
    return copy


def atomic_structure_factors(
    structure: gemmi.Structure, data: CrystalData
) -> NDArray[np.complex128]:
    """Structure factors of the first model for the data's radiation.

    Occupancies, anisotropic B factors, hydrogens and alternative conformers count as they are.

    Parameters
    ----------
    structure
        As `in_crystal` returns it.
    data
        The crystal.

    Returns
    -------
    F, shape (n,), electrons (X-rays) or A (electrons), as the rows of `data`.
    """
    model = structure[0]
    n_terms = model.count_atom_sites() * len(data.space_group.operations()) * len(data)
    if n_terms <= _DIRECT:
        direct = _direct_calculator(structure, data)
        summed = [direct.calculate_sf_from_model(model, hkl) for hkl in data.hkl.tolist()]
        return np.array(summed, dtype=np.complex128)
    electron = data.radiation == "electron"
    calculator = gemmi.DensityCalculatorE() if electron else gemmi.DensityCalculatorX()
    d = data.d
    calculator.d_min = float(d[np.isfinite(d)].min()) * _MARGIN
    calculator.rate = _RATE
    calculator.set_grid_cell_and_spacegroup(structure)
    calculator.set_refmac_compatible_blur(model)
    calculator.put_model_density_on_grid(model)
    grid = gemmi.transform_map_to_f_phi(calculator.grid, half_l=True)
    values = grid.get_value_by_hkl(data.hkl, unblur=calculator.blur)
    return np.asarray(values, dtype=np.complex128)


def _direct_calculator(
    structure: gemmi.Structure, data: CrystalData
) -> gemmi.StructureFactorCalculatorX | gemmi.StructureFactorCalculatorE:
    # only the cell of the structure has the symmetry images
    if data.radiation == "electron":
        return gemmi.StructureFactorCalculatorE(structure.cell)
    return gemmi.StructureFactorCalculatorX(structure.cell)


def mask_structure_factors(
    structure: gemmi.Structure, data: CrystalData
) -> tuple[NDArray[np.complex128], float]:
    """Fourier transform of the solvent region of a model, and its fraction of the cell.

    The region lies outside all atoms but hydrogens, by gemmi's radii of cctbx (probe 1.1 A, shrunk
    by 0.9 A). It depends on coordinates alone.

    Returns
    -------
    (F, fraction)
        F of a mask of ones, shape (n,), A^3, as the rows of `data`; and 0 to 1.
    """
    masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx)
    grid = gemmi.FloatGrid()
    d = data.d
    spacing = min(_MASK_SPACING, float(d[np.isfinite(d)].min()) / 4)
    grid.setup_from(structure, spacing=spacing)
    masker.put_mask_on_float_grid(grid, structure[0])
    fraction = float(grid.array.mean())
    transform = gemmi.transform_map_to_f_phi(grid, half_l=True)
    return np.asarray(transform.get_value_by_hkl(data.hkl), dtype=np.complex128), fraction
