"""Start of building from files: a solved folder, phases of any program, or a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.dictionaries import describes_residues
from crysformer.building.start import Start
from crysformer.crystal.io.read import read_solution_amplitudes
from crysformer.crystal.io.read_phases import PhasedReflections, coefficients_at, read_phases
from crysformer.crystal.io.read_res import read_res_atoms
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.crystal.site_symmetry import site_symmetry
from crysformer.crystal.unit_cell import constants_text, is_alike
from crysformer.errors import InputError
from crysformer.file_content import read_content
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.schema import Unfit, read_json_object, record

MTZ, MODEL, ATOMS, SUMMARY = "solution.mtz", "model.cif", "atoms.res", "summary.json"
#: Fraction of the measured reflections that need a phase.
_LEAST_PHASED: Final = 0.1


@dataclass(frozen=True)
class SolvedInput:
    """The table ``input`` of summary.json.

    Attributes
    ----------
    data
        File of the measurements.
    sequence
        The chains; empty if none were given.
    copies
        Copies that were stated, or None.
    radiation
        Kind of scattering factors.
    """

    data: str = ""
    sequence: tuple[str, ...] = ()
    copies: int | None = None
    radiation: Radiation = "xray"


@dataclass(frozen=True, eq=False)
class SolvedFolder:
    """What a folder of ``crysformer solve`` holds for building.

    Attributes
    ----------
    data
        The measured amplitudes of solution.mtz.
    sequences
        The chains that it was solved with; empty if none were given.
    copies
        Copies that were stated, or None.
    start
        Model, atoms and map coefficients.
    summary
        Content of summary.json.
    """

    data: CrystalData
    sequences: tuple[str, ...]
    copies: int | None
    start: Start
    summary: dict[str, Any]


def read_solved_folder(folder: str | Path) -> SolvedFolder:
    """Read the results of ``crysformer solve``.

    Raises
    ------
    InputError
        If solution.mtz or summary.json is missing or damaged.
    """
    place = Path(folder)
    for name in (MTZ, SUMMARY):
        if not (place / name).is_file():
            raise InputError(
                f"{place}: has no {name}; expected reflections, or a folder that crysformer solve "
                "wrote"
            )
    summary = read_json_object(place / SUMMARY)
    given = _input_of(place / SUMMARY, summary)
    data = read_solution_amplitudes(place / MTZ, given.radiation)
    phased = read_phases(place / MTZ, labin="FWT,PHWT")
    structure = read_model(place / MODEL) if (place / MODEL).is_file() else None
    atoms = _atoms(place / ATOMS, data) if (place / ATOMS).is_file() else None
    F: NDArray[np.complex128] | None = coefficients_of(phased, data)
    group = None if structure is None else structure.find_spacegroup()
    if group is not None and group.operations() != data.space_group.operations():
        # of an enantiomorphic pair the model may be in the other one than the phases
        data, F = replace(data, space_group=group), None
    solved = bool(summary.get("solved"))
    start = Start(structure, atoms, F, all_data=solved or None, ab_initio=solved)
    return SolvedFolder(data, given.sequence, given.copies, start, summary)


def start_from_map(data: CrystalData, path: str | Path, labin: str | None = None) -> Start:
    """Start from phases of any program.

    Parameters
    ----------
    data
        The measured amplitudes.
    path
        An MTZ file with map coefficients, or with phases and figures of merit.
    labin
        Its columns, as `crysformer.crystal.io.read_phases.read_phases` takes them.

    Raises
    ------
    InputError
        If the file cannot be read, or is of another cell, space group or set of reflections.
    """
    phased = read_phases(path, labin, "map_labin")
    _check_same_crystal(phased.source, phased.cell, phased.space_group, data)
    return Start(F=coefficients_of(phased, data))


def coefficients_of(phased: PhasedReflections, data: CrystalData) -> NDArray[np.complex128]:
    """Map coefficients at the data's reflections, shape (n_data,), zero where there is none.

    Raises
    ------
    InputError
        If fewer than a tenth of the measured reflections have a phase.
    """
    expanded = phased.expanded()
    F = np.nan_to_num(coefficients_at(expanded.hkl, expanded.coefficients, data.hkl))
    if not np.isfinite(phased.f_map).any():  # phases alone: the amplitudes are those measured
        unit = PhasedReflections(
            phased.source, phased.labels, phased.cell, phased.space_group, phased.hkl, phased.phi,
            np.ones(len(phased.phi)),
        ).expanded()  # fmt: skip
        turn = np.nan_to_num(coefficients_at(unit.hkl, unit.coefficients, data.hkl))
        F = np.where(data.measured, np.nan_to_num(data.f), 0.0) * turn
    n_phased, n_measured = int((np.abs(F[data.measured]) > 0).sum()), int(data.measured.sum())
    if n_phased < _LEAST_PHASED * n_measured:
        raise InputError(
            f"{phased.source}: has phases for {n_phased} of the {n_measured} measured reflections "
            f"of {data.source}; expected phases of the same crystal"
        )
    return F


def read_model(path: str | Path) -> gemmi.Structure:
    """Read a model in PDB or mmCIF format, gzipped or not.

    Raises
    ------
    InputError
        If it cannot be read or has no atoms.
    """
    content = read_content(path, "a model in PDB or mmCIF format")
    try:
        structure = gemmi.read_structure_string(content.decode("utf-8", errors="replace"))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a model ({reason})") from error
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise InputError(f"{path}: has no atoms; expected a model in PDB or mmCIF format")
    structure.setup_entities()
    return structure


def start_from_model(data: CrystalData, path: str | Path) -> Start:
    """Start from a model in the cell of the data.

    Raises
    ------
    InputError
        If it cannot be read, or has another cell or space group.
    """
    structure = read_model(path)
    cell = structure.cell if structure.cell.is_crystal() else data.cell
    _check_same_crystal(str(path), cell, structure.find_spacegroup() or data.space_group, data)
    content = read_content(path, "a model").decode("utf-8", errors="replace")
    return Start(structure, dictionary=(Path(path),) if describes_residues(content) else ())


def _input_of(path: Path, summary: dict[str, Any]) -> SolvedInput:
    """What the crystal was solved with; older versions did not write it."""
    values = summary.get("input")
    if values is None:
        return SolvedInput()
    try:
        return record(SolvedInput, values)
    except Unfit as error:
        raise InputError(f"{path}: 'input' is damaged ({error}); solve the crystal again") from None


def _atoms(path: Path, data: CrystalData) -> AtomicStructure:
    atoms = read_res_atoms(path)
    order = site_symmetry(atoms.frac, data.cell, data.space_group).order
    return AtomicStructure(
        frac=atoms.frac,
        number=np.array([gemmi.Element(name).atomic_number for name in atoms.element]),
        b_iso=atoms.b_iso,
        occupancy=atoms.occupancy * order,
        F=np.full(len(data), np.nan, dtype=np.complex128),
        r=float("nan"),
        cell=data.cell,
        space_group=data.space_group,
    )


def _check_same_crystal(
    source: str, cell: gemmi.UnitCell, group: gemmi.SpaceGroup, data: CrystalData
) -> None:
    if not is_alike(cell, data.cell):
        raise InputError(
            f"{source}: cell {constants_text(cell)}, expected that of {data.source}, "
            f"{constants_text(data.cell)}; both must be of one crystal"
        )
    if group.operations() != data.space_group.operations():
        raise InputError(
            f"{source}: space group {group.xhm()}, expected {data.space_group.xhm()} of "
            f"{data.source}; pass `space_group` if the data are of the other one"
        )
