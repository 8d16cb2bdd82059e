"""The files of a result folder, as the report needs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.read import read_solution_amplitudes
from crysformer.crystal.io.read_res import read_res_atoms
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError, InputError
from crysformer.schema import read_json_object

SUMMARY, PHASES, MODEL, ATOMS = "summary.json", "solution.mtz", "model.cif", "atoms.res"


@dataclass(frozen=True, eq=False)
class ResultFolder:
    """What `solve` and `build` left in a folder.

    Attributes
    ----------
    path
        The folder.
    summary
        Content of ``summary.json``.
    mtz
        ``solution.mtz``.
    data
        The measured amplitudes in it.
    structure
        ``model.cif``, or the atoms of ``atoms.res``, or None.
    """

    path: Path
    summary: dict[str, Any]
    mtz: gemmi.Mtz
    data: CrystalData
    structure: gemmi.Structure | None

    @property
    def files(self) -> list[Path]:
        """Result files in the folder, sorted."""
        return sorted(
            path for path in self.path.iterdir() if path.is_file() and path.name[0] != "."
        )


def read_result_folder(path: str | Path) -> ResultFolder:
    """Read a folder that `solve` or `build` wrote.

    Raises
    ------
    InputError
        If files are missing, or are not what these commands write.
    """
    folder = Path(path)
    if not (folder / SUMMARY).is_file() or not (folder / PHASES).is_file():
        raise InputError(
            f"{folder}: no {SUMMARY} with {PHASES}; expected a folder written by crysformer solve "
            "or build"
        )
    summary = read_json_object(folder / SUMMARY)
    if not isinstance(summary.get("solved"), bool) or "confidence" not in summary:
        raise InputError(f"{folder / SUMMARY}: no verdict in it; not a summary of a solution")
    try:
        mtz = gemmi.read_mtz_file(str(folder / PHASES))
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{folder / PHASES}: cannot be read ({error})") from error
    data = read_solution_amplitudes(folder / PHASES)
    return ResultFolder(folder, summary, mtz, data, _structure(folder, data.cell))


def _structure(folder: Path, cell: gemmi.UnitCell) -> gemmi.Structure | None:
    if (folder / MODEL).is_file():
        try:
            structure = gemmi.read_structure(str(folder / MODEL))
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(f"{folder / MODEL}: cannot be read ({error})") from error
        structure.setup_entities()
        return structure
    if (folder / ATOMS).is_file():
        return _shelx_atoms(folder / ATOMS, cell)
    return None


def _shelx_atoms(path: Path, cell: gemmi.UnitCell) -> gemmi.Structure:
    atoms = read_res_atoms(path)
    return structure_of_atoms(cell, atoms.element, atoms.frac, atoms.b_iso)


def structure_of_atoms(
    cell: gemmi.UnitCell,
    element: Sequence[str],
    frac: NDArray[np.float64],
    b_iso: NDArray[np.float64],
) -> gemmi.Structure:
    """Structure of atoms without residues, as one residue.

    Parameters
    ----------
    cell
        Unit cell.
    element, frac, b_iso
        Symbols, fractional positions, shape (n, 3), and B, A^2, shape (n,).
    """
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    structure.cell = cell
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNL", gemmi.SeqId(1, " ")
    residue.het_flag = "H"
    rows = zip(element, frac.tolist(), b_iso.tolist(), strict=True)
    numbers = Counter[str]()  # as in the file
    for symbol, position, b in rows:
        numbers[symbol] += 1
        atom = gemmi.Atom()
        atom.name, atom.element = f"{symbol}{numbers[symbol]}", gemmi.Element(symbol)
        atom.pos = cell.orthogonalize(gemmi.Fractional(*position))
        atom.b_iso = b
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    return structure


def is_result_folder(path: Path) -> bool:
    """Check if `solve` or `build` wrote this folder."""
    try:
        read_json_object(path / SUMMARY)
    except CrysformerError:
        return False
    return (path / PHASES).is_file()
