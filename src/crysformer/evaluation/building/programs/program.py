"""Interface of a model-building program, and its run in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.io.write import mtz_with, write_mtz
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.peers.program import last_line
from crysformer.files import write_bytes
from crysformer.processes import Run, run_command

FIGURE_OF_MERIT: Final = 0.5
"""Given to every phase, which programs weigh by it; the authors of CrysFormer gave the same."""
_ASSUMED_ERROR = 0.02  # of amplitudes without standard uncertainties


@dataclass(frozen=True, eq=False)
class ProgramJob:
    """A map to be interpreted.

    Attributes
    ----------
    data
        The crystal.
    phi
        Phases of the map, degrees, shape (n,), NaN where there is none.
    free
        Its free set.
    sequences
        The chains of the asymmetric unit.
    folder
        Folder of its own in which the program runs.
    """

    data: CrystalData
    phi: NDArray[np.float64]
    free: FreeSet
    sequences: Sequence[str]
    folder: Path


@dataclass(frozen=True)
class ProgramFigures:
    """What a program says of its model; None where it says nothing.

    Attributes
    ----------
    r_work, r_free
        R factors.
    cc
        Correlation of amplitudes of the model and measured, -1 to 1.
    n_residues, n_placed
        Residues built, and those whose side chains are placed in the sequence.
    """

    r_work: float | None = None
    r_free: float | None = None
    cc: float | None = None
    n_residues: int | None = None
    n_placed: int | None = None


class BuildingProgram(Protocol):
    """A program that builds a model from a map."""

    @property
    def name(self) -> str:
        """Name of the program on the PATH, on our command line and in tables."""

    def command(self, job: ProgramJob) -> list[str]:
        """Write the input into the folder of a job; the arguments after the program's name."""

    def figures(self, job: ProgramJob, run: Run) -> ProgramFigures:
        """Read what it wrote; a `CrysformerError` if there is no model."""


def require_programs(programs: Sequence[BuildingProgram]) -> None:
    """Refuse programs that are not installed.

    Raises
    ------
    UsageError
        If one is not on the PATH.
    """
    for program in programs:
        if shutil.which(program.name) is None:
            raise UsageError(
                f"{program.name} is not on the PATH; set up its environment first, or leave it out"
            )


def run_program(
    program: BuildingProgram,
    data: CrystalData,
    phi: NDArray[np.float64],
    free: FreeSet,
    sequences: Sequence[str],
    time_limit: float,
) -> tuple[ProgramFigures, Run]:
    """Run a program on a map in a temporary folder.

    Parameters
    ----------
    program
        The program.
    data, phi, free, sequences
        As of `ProgramJob`.
    time_limit
        Seconds after which the program and what it started are killed.

    Raises
    ------
    CrysformerError
        If it does not run, was killed, or left no model; in one line.
    """
    if data.sigf is None:
        data = replace(data, sigf=_ASSUMED_ERROR * data.f)
    with tempfile.TemporaryDirectory(prefix="crysformer-building-") as name:
        job = ProgramJob(data, phi, free, sequences, Path(name))
        command = [program.name, *program.command(job)]
        try:
            run = run_command(command, time_limit, folder=job.folder, descendants=True)
        except OSError as error:
            raise CrysformerError(f"{program.name}: does not run ({error.strerror})") from error
        if run.code < 0 and run.seconds >= 0.99 * time_limit:
            raise CrysformerError(f"{program.name}: stopped at the limit of {time_limit:g} s")
        return program.figures(job, run), run


def no_model(program: BuildingProgram, run: Run, reason: str = "") -> CrysformerError:
    """Error of a program that ended without a model."""
    return CrysformerError(f"{program.name}: no model ({reason or last_line(run)})")


def write_amplitudes_and_phases(job: ProgramJob, name: str) -> None:
    """Write F, SIGF, FreeR_flag, PHIB and FOM into an MTZ file of the job's folder."""
    fom = np.where(np.isfinite(job.phi), FIGURE_OF_MERIT, np.nan)
    columns = [("PHIB", "P", job.phi), ("FOM", "W", fom)]
    write_mtz(job.folder / name, mtz_with(job.data, job.free.flags, columns))


def write_amplitudes(job: ProgramJob, name: str) -> None:
    """Write F, SIGF and FreeR_flag."""
    write_mtz(job.folder / name, mtz_with(job.data, job.free.flags, []))


def write_map_coefficients(job: ProgramJob, name: str) -> None:
    """Write FWT and PHWT, the measured amplitudes with the phases, and nothing else."""
    fwt = np.where(np.isfinite(job.phi), job.data.f, np.nan)
    mtz = mtz_with(job.data, None, [("FWT", "F", fwt), ("PHWT", "P", job.phi)])
    for label in ("F", "SIGF"):
        column = mtz.column_with_label(label)
        if column is not None:
            mtz.remove_column(column.idx)
    write_mtz(job.folder / name, mtz)


def write_sequences(job: ProgramJob, name: str) -> None:
    """Write the chains as a FASTA file."""
    lines = [f">chain_{i}\n{sequence}" for i, sequence in enumerate(job.sequences, start=1)]
    write_bytes(job.folder / name, ("\n".join(lines) + "\n").encode())
