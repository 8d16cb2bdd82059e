"""shelxe (Sheldrick, Acta Cryst. D66, 479, 2010): density modification and poly-alanine tracing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from crysformer.building.writing.shelxl_hkl import shelxl_hkl
from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.io.shelx_res import lattice_and_symmetry
from crysformer.crystal.matthews import solvent_content
from crysformer.evaluation.building.programs.program import (
    FIGURE_OF_MERIT,
    ProgramFigures,
    ProgramJob,
    no_model,
)
from crysformer.files import write_bytes
from crysformer.phasing.cell_content import cell_content
from crysformer.processes import Run

_NAME = "map"
_CYCLES: Final = 4  # of tracing, as the authors of CrysFormer ran it
_WAVELENGTH = 1.0  # A; without anomalous scattering it does not matter
_LARGEST = 99999.0  # amplitude in .phi, whose columns have nine characters
_MOST_SOLVENT = 0.9  # fraction; -s accepts no more
_BEST = re.compile(r"Best trace \(cycle\s+\d+\s+with CC\s+([\d.]+)%\)")
_TITLE = re.compile(r"^\s*TITLE.*\bCC\s*=\s*[\d.]+%\s+(\d+)\s+residues in", re.MULTILINE)
_UNTRACEABLE = "Unable to trace map"


@dataclass(frozen=True)
class Shelxe:
    """shelxe from phases in a .phi file (``-a``): the correlation of its best trace."""

    name: str = "shelxe"

    def command(self, job: ProgramJob) -> list[str]:
        """Write map.phi (phases), map.hkl (amplitudes) and map.ins (cell and symmetry)."""
        for suffix, text in (
            ("phi", _phases(job)),
            ("hkl", shelxl_hkl(job.data, FreeSet.empty(len(job.data)))),
            ("ins", _instructions(job)),
        ):
            write_bytes(job.folder / f"{_NAME}.{suffix}", text.encode())
        content = solvent_content(job.data.cell, job.data.space_group, job.sequences, copies=1)
        options = [f"-a{_CYCLES}", f"-s{min(content.solvent, _MOST_SOLVENT):.2f}"]
        if job.data.kind != "intensities":
            options.append("-f")  # amplitudes in map.hkl
        return [f"{_NAME}.phi", *options]

    def figures(self, job: ProgramJob, run: Run) -> ProgramFigures:
        """Correlation from its log, residues from the title of its model."""
        best = _BEST.search(run.out)
        if best is None:
            raise no_model(self, run, "unable to trace the map" if _UNTRACEABLE in run.out else "")
        model = job.folder / f"{_NAME}.pdb"
        text = model.read_text("utf-8", errors="replace") if model.is_file() else ""
        residues = _TITLE.search(text)
        return ProgramFigures(
            cc=float(best[1]) / 100, n_residues=None if residues is None else int(residues[1])
        )


def _phases(job: ProgramJob) -> str:
    """Indices, amplitude, figure of merit and phase (3I4, F9.2, F8.4, F8.1) of each phase."""
    used = job.data.measured & np.isfinite(job.phi)
    f = job.data.f[used]
    f = f * min(1.0, _LARGEST / max(float(f.max(initial=0)), 1e-30))
    rows = zip(job.data.hkl[used].tolist(), f.tolist(), job.phi[used].tolist(), strict=True)
    return "".join(
        f"{h:4d}{k:4d}{l:4d}{amplitude:9.2f}{FIGURE_OF_MERIT:8.4f}{phase % 360:8.1f}\n"
        for (h, k, l), amplitude, phase in rows  # noqa: E741
    )


def _instructions(job: ProgramJob) -> str:
    data = job.data
    contents = cell_content(data, list(job.sequences), copies=1).composition
    constants = " ".join(f"{x:.4f}" for x in data.cell.parameters)
    lines = [
        "TITL map to be traced",
        f"CELL {_WAVELENGTH} {constants}",
        f"ZERR {len(list(data.space_group.operations()))} 0 0 0 0 0 0",
        *lattice_and_symmetry(data.space_group),
        "SFAC " + " ".join(contents),
        "UNIT " + " ".join(f"{count:.0f}" for count in contents.values()),
        f"HKLF {4 if data.kind == 'intensities' else 3}",
        "END",
    ]
    return "\n".join(lines) + "\n"
