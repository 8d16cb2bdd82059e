"""Structure factors that phases are compared with: of a model, or true phases of a file."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.read_phases import PhasedReflections, coefficients_at, read_phases
from crysformer.crystal.resolution import within_resolution
from crysformer.crystal.symmetry import P1
from crysformer.errors import InputError
from crysformer.evaluation.deposited_models import model_structure_factors, read_model


class Truth(Protocol):
    """Structure factors that phases are compared with."""

    @property
    def source(self) -> str:
        """The file, for messages."""

    @property
    def cell(self) -> gemmi.UnitCell | None:
        """Unit cell, if the file has one."""

    @property
    def space_group(self) -> gemmi.SpaceGroup | None:
        """Space group, if the file has one."""

    def at(
        self, hkl: NDArray[np.int32], d_min: float, found: PhasedReflections
    ) -> NDArray[np.complex128]:
        """F at P1 indices, shape (n, 3): (n,), NaN where there is no phase."""

    def complete(self, d_min: float, found: PhasedReflections) -> NDArray[np.int32]:
        """All indices of the true map to `d_min` (A), one hemisphere of P1, shape (m, 3)."""


class ModelTruth:
    """Structure factors of a model's atoms: no bulk solvent, hydrogen where the model has it.

    A model without cell and space group takes those of the phases.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self.structure = _structure(path)
        crystal = self.structure.cell.is_crystal()
        self.cell = self.structure.cell if crystal else None
        self.space_group = self.structure.find_spacegroup() if crystal else None

    def at(
        self, hkl: NDArray[np.int32], d_min: float, found: PhasedReflections
    ) -> NDArray[np.complex128]:
        """F at P1 indices, shape (n,)."""
        if self.space_group is None:
            self.structure.cell = self.cell or found.cell
            self.structure.spacegroup_hm = found.space_group.xhm()
        return model_structure_factors(self.structure, hkl, d_min)

    def complete(self, d_min: float, found: PhasedReflections) -> NDArray[np.int32]:
        """All indices to `d_min`."""
        return np.asarray(gemmi.make_miller_array(found.cell, P1, d_min), dtype=np.int32)


class FileTruth:
    """True phases of an MTZ file, with their amplitudes."""

    def __init__(self, path: Path, labin: str | None = None) -> None:
        phases = read_phases(path, labin, "truth_labin")
        if not np.isfinite(phases.f_map).any() and phases.f is not None:
            phases = replace(phases, f_map=phases.f)
        self.source, self.cell, self.space_group = str(path), phases.cell, phases.space_group
        self.phases = phases
        self._p1 = phases.expanded()

    def at(
        self, hkl: NDArray[np.int32], d_min: float, found: PhasedReflections
    ) -> NDArray[np.complex128]:
        """F at P1 indices, shape (n,), NaN where the file has no phase."""
        F = np.where(np.isfinite(self._p1.f_map), self._p1.f_map, 1.0)
        return coefficients_at(self._p1.hkl, F * np.exp(1j * np.radians(self._p1.phi)), hkl)

    def complete(self, d_min: float, found: PhasedReflections) -> NDArray[np.int32]:
        """The file's indices to `d_min` with a phase."""
        d = np.asarray(found.cell.calculate_d_array(self._p1.hkl), dtype=np.float64)
        with np.errstate(divide="ignore"):
            inside = within_resolution(d**-2.0, d_min)
        return self._p1.hkl[inside & np.isfinite(self._p1.coefficients)]


def read_truth(path: str | Path, labin: str | None = None) -> Truth:
    """Read a model (PDB, mmCIF) or an MTZ file with true phases, recognised by content.

    Raises
    ------
    InputError
        If the file is neither, or its phases are none or several.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a model or an MTZ file of true phases")
    with path.open("rb") as stream:
        start = stream.read(4)
    name = path.name.lower().removesuffix(".gz")
    if start == b"MTZ " or name.endswith(".mtz"):
        return FileTruth(path, labin)
    return ModelTruth(path)


def _structure(path: Path) -> gemmi.Structure:
    try:
        structure = read_model(path)
    except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: not readable as a model ({' '.join(str(error).split())}); expected PDB, "
            "mmCIF, or an MTZ file with phases"
        ) from error
    if not len(structure) or not any(True for _ in structure[0].all()):
        raise InputError(f"{path}: no atoms; expected a model (PDB, mmCIF) or MTZ with phases")
    return structure
