"""Deposited models: their files, their protein chains, and their structure factors."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import Radiation
from crysformer.peptide.residues import D_NAME_OF


@dataclass(frozen=True)
class Case:
    """Reflection file, and the deposited model that belongs to it if there is one."""

    name: str
    reflections: Path
    model: Path | None


def find_cases(folder: Path) -> list[Case]:
    """Find the reflection files of a folder, in the order of their names."""
    cases = []
    for path in sorted([*folder.glob("*.mtz"), *folder.glob("*-sf.cif.gz")]):
        name = path.name.removesuffix(".mtz").removesuffix("-sf.cif.gz")
        models = (folder / f"{name}.pdb.gz", folder / f"{name}.cif.gz")
        cases.append(Case(name, path, next((m for m in models if m.exists()), None)))
    return cases


def read_model(path: Path) -> gemmi.Structure:
    """Read a model, with its entities set up."""
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    return structure


def protein_chains(structure: gemmi.Structure) -> tuple[list[str], int]:
    """Sequences of one copy and the number of copies in the asymmetric unit.

    Sequences are those of the whole construct (SEQRES), with D residues and blocked ends as such
    and other modified residues as their parents.
    """
    counts: Counter[str] = Counter()
    for entity in structure.entities:
        if entity.polymer_type == gemmi.PolymerType.PeptideL:
            residues = (gemmi.Entity.first_mon(name) for name in entity.full_sequence)
            letters = (_code(name) for name in residues)
            counts["".join(letters).replace(" ", "").upper()] += len(entity.subchains)
    copies = reduce(math.gcd, counts.values(), 0)
    return [sequence for sequence, n in counts.items() for _ in range(n // copies)], copies


def _code(name: str) -> str:
    """A residue in the notation of sequences; empty if it has no letter."""
    if name in ("ACE", "NH2", *D_NAME_OF.values()):
        return f"({name})"
    return str(gemmi.find_tabulated_residue(name).one_letter_code)


def n_atoms(structure: gemmi.Structure) -> int:
    """Number of non-hydrogen atoms in the asymmetric unit, alternative sites counted once."""
    return sum(
        site.atom.altloc in ("\0", "A") and not site.atom.is_hydrogen()
        for site in structure[0].all()
    )


def model_structure_factors(
    structure: gemmi.Structure,
    hkl: NDArray[np.int32],
    d_min: float,
    radiation: Radiation = "xray",
) -> NDArray[np.complex128]:
    """Compute F of a model's atoms by FFT of their density.

    Parameters
    ----------
    structure
        Its first model, with cell and space group.
    hkl
        Miller indices, shape (n, 3).
    d_min
        Resolution, A.
    radiation
        Kind of form factors.

    Returns
    -------
    ndarray
        Shape (n,), electrons, or A for electron diffraction.
    """
    electrons = radiation == "electron"
    calculator = gemmi.DensityCalculatorE() if electrons else gemmi.DensityCalculatorX()
    # a little beyond the limit: the file's cell may differ from the model's in the last digit
    calculator.d_min = 0.99 * d_min
    calculator.rate = 2.0
    calculator.set_refmac_compatible_blur(structure[0])
    calculator.set_grid_cell_and_spacegroup(structure)
    calculator.put_model_density_on_grid(structure[0])
    # divide out the blur that keeps the grid fine enough
    grid = gemmi.transform_map_to_f_phi(calculator.grid)
    s_sq = np.asarray(structure.cell.calculate_d_array(hkl), dtype=np.float64) ** -2.0
    return np.asarray(grid.get_value_by_hkl(hkl) * np.exp(0.25 * calculator.blur * s_sq))


def model_phases(
    structure: gemmi.Structure,
    hkl: NDArray[np.int32],
    d_min: float,
    radiation: Radiation = "xray",
) -> NDArray[np.float64]:
    """Compute the phases of a model, degrees, shape (n,); arguments as above."""
    return np.degrees(np.angle(model_structure_factors(structure, hkl, d_min, radiation)))
