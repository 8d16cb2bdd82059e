"""Refinement with servalcat (Yamashita et al., Acta Cryst. D77, 1282, 2021), run as a process."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.dictionaries import Dictionaries
from crysformer.building.model_atoms import residue_names
from crysformer.building.refinement.refiner import (
    Displacement,
    RefinedStructure,
    RefinementFailed,
)
from crysformer.crystal.io.write import write_mtz
from crysformer.crystal.reflections import CrystalData
from crysformer.files import write_bytes
from crysformer.processes import ONE_THREAD, Run, run_command

PROGRAM: Final = "servalcat"
_FREE, _WORKING = 1, 0
#: Dictionary of the restraints made from component definitions.
_MADE: Final = "components.cif"
#: Uncertainty of amplitudes that have none, as a fraction of each and of their mean.
_RELATIVE_ERROR, _LEAST_ERROR = 0.02, 0.005
#: Cycles over which R is watched at the end.
_LAST_CYCLES: Final = 3
#: Shortest time in which a run can give something, s.
_LEAST_TIME: Final = 2.0


def find_servalcat() -> Path | None:
    """The program on the PATH, or beside this interpreter; None if there is none."""
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=str(Path(sys.executable).parent))
    return None if found is None else Path(found)


@dataclass(frozen=True)
class Servalcat:
    """servalcat with the monomer dictionaries that it is to use.

    Attributes
    ----------
    path
        The program.
    dictionaries
        With a library.
    full
        It refines anisotropic B and adds riding hydrogens.
    """

    path: Path
    dictionaries: Dictionaries
    full: bool = True

    @property
    def program(self) -> str:
        """Name; `RefinedStructure.program` has the version."""
        return PROGRAM

    def refine(
        self,
        structure: gemmi.Structure,
        data: CrystalData,
        free: NDArray[np.bool_],
        *,
        cycles: int,
        displacement: Displacement = "iso",
        hydrogens: bool = False,
        deadline: float,
    ) -> RefinedStructure:
        """Refine, as `Refiner.refine` says, with the weight that servalcat chooses."""
        limit = deadline - time.monotonic()
        if limit < _LEAST_TIME:
            raise RefinementFailed("no time was left for servalcat")
        with tempfile.TemporaryDirectory(prefix="crysformer-servalcat-") as name:
            folder = Path(name)
            write_bytes(folder / "start.cif", _mmcif(structure, hydrogens))
            write_mtz(folder / "data.mtz", _reflections(data, free))
            made = self.dictionaries.made_dictionary(residue_names(structure))
            if made:
                write_bytes(folder / _MADE, made.encode())
            has_free = bool((free & data.measured).any())
            command = [
                str(self.path), "refine_xtal_norefmac",
                "--hklin", "data.mtz",
                "--labin", "F,SIGF,FREE" if has_free else "F,SIGF",
                *(["--free", str(_FREE)] if has_free else []),
                "--model", "start.cif",
                "--monlib", str(self.dictionaries.library),
                *self._ligands([_MADE] if made else []),
                "--source", data.radiation,
                "--ncycle", str(cycles),
                "--adp", displacement,
                "--hydrogen", "all" if hydrogens else "no",
                *(["--hout"] if hydrogens else []),
                *_occupancy_keywords(structure),
                "-o", "refined",
            ]  # fmt: skip
            run = _run(command, limit, folder)
            log = _text(folder / "refined.log") or run.out
            log = f"$ {' '.join(command)}\n{log}{run.err}"
            output = folder / "refined.mmcif"
            if run.code != 0 or not output.is_file():
                raise RefinementFailed(f"servalcat failed: {_reason(run, log, limit)}", log)
            refined = _read(output, log)
            figures = _figures(_text(folder / "refined_stats.json"), log)
        version = re.search(r"Servalcat ver\. (\S+)", log)
        program = f"{PROGRAM} {version[1]}" if version else PROGRAM
        return RefinedStructure(_in_setting(refined, structure), program, cycles, log, figures)

    def _ligands(self, made: list[str]) -> list[str]:
        files = [*(str(file.resolve()) for file in self.dictionaries.files), *made]
        return ["--ligand", *files] if files else []


def _occupancy_keywords(structure: gemmi.Structure) -> list[str]:
    """Arguments that refine the occupancies of the conformers of each residue to a sum of one."""
    words, number = [], 0
    for chain in structure[0]:
        for residue in chain:
            letters = sorted({atom.altloc for atom in residue if atom.altloc != "\0"})
            if len(letters) < 2:
                continue
            numbers = []
            for letter in letters:
                number += 1
                numbers.append(str(number))
                place = f"chain {chain.name} resi {residue.seqid} alt {letter}"
                words.append(f"occupancy group id {number} {place}")
            words.append(f"occupancy group alts complete {' '.join(numbers)}")
    return ["--keywords", *words, "occupancy refine"] if words else []


def _run(command: list[str], limit: float, folder: Path) -> Run:
    environment = {**os.environ, **ONE_THREAD, "PYTHONNOUSERSITE": "1"}
    try:
        return run_command(command, limit, environment, folder)
    except OSError as error:
        raise RefinementFailed(f"{command[0]}: does not run ({error.strerror})") from error


def _mmcif(structure: gemmi.Structure, hydrogens: bool) -> bytes:
    """The model as mmCIF; without hydrogens where servalcat is not to write them."""
    copy = structure.clone()
    if not hydrogens:
        copy.remove_hydrogens()
    copy.setup_entities()
    copy.assign_label_seq_id(force=True)
    document = copy.make_mmcif_document()
    return bytes(document.as_string().encode())


def _reflections(data: CrystalData, free: NDArray[np.bool_]) -> gemmi.Mtz:
    """The measured reflections with F, SIGF and FREE."""
    used = data.measured
    f = data.f[used]
    assumed = _RELATIVE_ERROR * f + _LEAST_ERROR * f.mean()
    sigf = assumed if data.sigf is None else data.sigf[used]
    sigf = np.where(np.isfinite(sigf) & (sigf > 0), sigf, assumed)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = data.space_group
    mtz.set_cell_for_all(data.cell)
    mtz.add_dataset("crysformer")
    mtz.set_cell_for_all(data.cell)
    for label, kind in (("F", "F"), ("SIGF", "Q"), ("FREE", "I")):
        mtz.add_column(label, kind)
    flags = np.where(free[used], _FREE, _WORKING)
    mtz.set_data(np.column_stack((data.hkl[used], f, sigf, flags)).astype(np.float32))
    mtz.ensure_asu()
    return mtz


def _read(path: Path, log: str) -> gemmi.Structure:
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RefinementFailed(f"the model of servalcat cannot be read ({reason})", log) from error
    positions = [site.atom.pos.tolist() for site in structure[0].all()] if len(structure) else []
    if not positions or not np.isfinite(positions).all():
        raise RefinementFailed("the model of servalcat has no atoms, or some at no position", log)
    return structure


def _in_setting(refined: gemmi.Structure, start: gemmi.Structure) -> gemmi.Structure:
    """The refined model with the cell, symmetry and entities of the one at the start."""
    refined.cell, refined.spacegroup_hm = start.cell, start.spacegroup_hm
    refined.entities = start.entities
    return refined


def _figures(text: str, log: str) -> dict[str, float]:
    """Figures of the last cycle in the statistics of servalcat.

    Raises
    ------
    RefinementFailed
        If they cannot be read.
    """
    try:
        cycles: list[dict[str, Any]] = json.loads(text)
        last, earlier = cycles[-1], cycles[-1 - min(_LAST_CYCLES, len(cycles) - 1)]
        summary, deviations = last["data"]["summary"], last["geom"]["summary"]["r.m.s.d."]
        before = earlier["data"]["summary"]
        found = {
            "r_work": summary.get("Rwork", summary.get("R")),
            "r_free": summary.get("Rfree"),
            "gain": before.get("Rwork", before.get("R")) - summary.get("Rwork", summary.get("R")),
            "rms_bonds": deviations.get("Bond distances, non H"),
            "rms_angles": deviations.get("Bond angles, non H"),
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RefinementFailed("the statistics of servalcat cannot be read", log) from error
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _reason(run: Run, log: str, limit: float = math.inf) -> str:
    """The reason for a failure, in one line, from the program's output."""
    if run.code < 0 and run.seconds >= 0.99 * limit:
        return f"it was stopped at the time limit, after {limit:.0f} s"
    lines = [line.strip() for line in (log + "\n" + run.out + "\n" + run.err).splitlines()]
    told = [line for line in lines if re.search(r"\b(error|exception|exit|missing)\b", line, re.I)]
    lines = [line for line in lines if line]
    last = told[-1] if told else (lines[-1] if lines else "no output")
    return f"exit status {run.code}: {last[:200]}"
