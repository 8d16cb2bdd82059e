"""The files of a result folder, as the report needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError, InputError
from crysformer.schema import read_json_object

SUMMARY, PHASES, MODEL, ATOMS = "summary.json", "solution.mtz", "model.cif", "atoms.res"

#: Atom of a SHELX file: name, number of its element, coordinates, and the occupancy in front of U.
_ATOM = re.compile(r"^([A-Z]{1,2}\d+\w*)\s+(\d+)((?:\s+-?\d+\.\d+){3})\s+\S+\s+(-?\d+\.\d+)")


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
    return ResultFolder(folder, summary, mtz, read_crystal(folder / PHASES), _structure(folder))


def _structure(folder: Path) -> gemmi.Structure | None:
    if (folder / MODEL).is_file():
        try:
            structure = gemmi.read_structure(str(folder / MODEL))
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(f"{folder / MODEL}: cannot be read ({error})") from error
        structure.setup_entities()
        return structure
    if (folder / ATOMS).is_file():
        return _shelx_atoms(folder / ATOMS)
    return None


def _shelx_atoms(path: Path) -> gemmi.Structure:
    """Atoms as `solve` writes them, one residue."""
    text = path.read_text(encoding="ascii", errors="replace")
    lines = text.splitlines()
    cells = [line.split()[2:8] for line in lines if line.startswith("CELL ")]
    elements = [line.split()[1:] for line in lines if line.startswith("SFAC ")]
    if not cells or not elements:
        raise InputError(f"{path}: no CELL or SFAC; not written by crysformer solve")
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    structure.cell = gemmi.UnitCell(*map(float, cells[0]))
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNL", gemmi.SeqId(1, " ")
    residue.het_flag = "H"
    for line in lines:
        if (found := _ATOM.match(line)) is None:
            continue
        atom = gemmi.Atom()
        atom.name, atom.element = found[1], gemmi.Element(elements[0][int(found[2]) - 1])
        atom.pos = structure.cell.orthogonalize(gemmi.Fractional(*map(float, found[3].split())))
        atom.b_iso = 78.957 * float(found[4])  # 8 pi^2 U
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
