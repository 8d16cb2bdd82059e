"""Programs that are compared: one small class each, run in a process of its own on one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import gemmi
import numpy as np

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.read_phases import PhasedReflections, at_indices, read_phases
from crysformer.crystal.normalisation import normalized_e
from crysformer.crystal.symmetry import p1_mapping
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.evaluation.processes import ONE_THREAD, Run
from crysformer.files import write_json

SOLVE_LABELS = "FWT,PHWT"  # of solution.mtz
_SOURCES = ("crystal", "models", "peptide", "phasing", "weights", "workflow", "settings.py")


@dataclass(frozen=True)
class Job:
    """One run: a crystal, a seed, the seconds, and a folder of its own."""

    crystal: PeerCrystal
    seed: int
    time_limit: float
    folder: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of a run.

    Attributes
    ----------
    phases
        Phases with the measured amplitudes, in the space group that the program gives them.
    claimed
        The program's own verdict.
    confidence
        Its probability, where there is one.
    stopped
        Reason why it ended.
    figures
        Its own figures of merit.
    """

    phases: PhasedReflections
    claimed: bool
    confidence: float | None
    stopped: str
    figures: dict[str, Any] = field(default_factory=dict)


class Program(Protocol):
    """A program under comparison."""

    @property
    def name(self) -> str:
        """Name on the command line and in the tables."""

    @property
    def description(self) -> str:
        """What it is, and what stops it, for the head of the tables."""

    @property
    def version(self) -> str:
        """Version; runs with another one are not comparable."""

    def unavailable(self) -> str:
        """Reason why it cannot be run here, or empty."""

    def declines(self, crystal: PeerCrystal) -> str:
        """Reason why it has nothing to do with a crystal, or empty."""

    def command(self, job: Job) -> list[str]:
        """Prepare the folder of a job; the command that runs it."""

    def environment(self) -> dict[str, str]:
        """Environment of the process."""

    def outcome(self, job: Job, run: Run) -> Outcome:
        """Read what the process has written; a `CrysformerError` if it has not."""


@dataclass(frozen=True)
class Solve:
    """`crysformer solve`, of this installation or of another one.

    Attributes
    ----------
    name
        Name in the tables.
    sequence
        Whether the crystal's sequence is given.
    python
        Interpreter.
    source
        Folder that holds the package, put first on the path; None takes the interpreter's own.
    """

    name: str
    sequence: bool
    python: str = sys.executable
    source: Path | None = None

    @property
    def description(self) -> str:
        """What it is."""
        given = "with the sequence" if self.sequence else "without a sequence"
        return f"`crysformer solve` {given}; stops when its confidence reaches its limit"

    @cached_property
    def version(self) -> str:
        """Version and, in a git checkout, the last commit that changed what the solver runs."""
        code = "import crysformer, pathlib; print(crysformer.__version__); "
        code += "print(pathlib.Path(crysformer.__file__).parent)"
        done = subprocess.run(
            [self.python, "-c", code], env=self.environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise UsageError(f"{self.source or self.python}: no installation of crysformer there")
        version, folder = done.stdout.split("\n")[:2]
        log = ["git", "-C", folder, "log", "-1", "--format=%h", "--", *_SOURCES]
        try:
            commit = subprocess.run(log, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            commit = ""
        return f"{version} ({commit})" if commit else version

    def unavailable(self) -> str:
        """Reason why it cannot be run here; never."""
        return ""

    def declines(self, crystal: PeerCrystal) -> str:
        """Reason why it has nothing to do with a crystal."""
        return "no sequence given" if self.sequence and crystal.sequence is None else ""

    def command(self, job: Job) -> list[str]:
        """The command line."""
        crystal = job.crystal
        words = [self.python, "-m", "crysformer", "solve", str(crystal.data), "--quiet"]
        if self.sequence and crystal.sequence is not None:
            words += ["--sequence", crystal.sequence]
            words += ["--copies", str(crystal.copies)] if crystal.copies else []
        words += ["--time-limit", f"{job.time_limit:g}", "--seed", str(job.seed)]
        return [*words, "--device", "cpu", "-o", str(job.folder / "solve")]

    def environment(self) -> dict[str, str]:
        """Environment of this process on one thread, with the chosen source first."""
        environment = {**os.environ, **ONE_THREAD}
        if self.source is not None:
            environment["PYTHONPATH"] = str(self.source)
        return environment

    def outcome(self, job: Job, run: Run) -> Outcome:
        """Read summary.json and solution.mtz."""
        folder = job.folder / "solve"
        if run.code:
            raise CrysformerError(_last_line(run))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        figures = summary["candidates"][0]["figures"] if summary["candidates"] else {}
        return Outcome(
            phases=read_phases(folder / "solution.mtz", SOLVE_LABELS),
            claimed=summary["solved"],
            confidence=summary["confidence"],
            stopped="converged" if summary["solved"] else "time limit",
            figures={"method": summary["method"], **figures},
        )


@dataclass(frozen=True)
class Script:
    """A script of `evaluation.peers.scripts`: JOB.json in, RESULT.json out.

    Attributes
    ----------
    name, description
        Name in the tables, and what it is and what stops it.
    script
        The file.
    python
        Interpreter that has what the script needs.
    amplitudes
        ``"F"`` or ``"E"``, for scripts that leave the choice.
    needs
        Package without which it cannot run, for messages; empty if none. The script must then
        print its version for ``--version``.
    """

    name: str
    description: str
    script: Path
    python: str = sys.executable
    amplitudes: str = "E"
    needs: str = ""

    @cached_property
    def _version(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, str(self.script), "--version"],
            env=self.environment(), capture_output=True, text=True,
        )  # fmt: skip

    @property
    def version(self) -> str:
        """Version of what the script needs."""
        if not self.needs:
            return "1"
        try:
            return f"{self.needs} {self._version.stdout.strip()}"
        except OSError:
            return ""

    def unavailable(self) -> str:
        """Reason why it cannot be run here, or empty."""
        if not self.needs:
            return ""
        try:
            failed = self._version.returncode
        except OSError as error:
            return f"{self.python}: {error.strerror}"
        return f"no {self.needs} in {self.python}" if failed else ""

    def declines(self, crystal: PeerCrystal) -> str:
        """Reason why it has nothing to do with a crystal; never."""
        return ""

    def command(self, job: Job) -> list[str]:
        """Write the job; the command line."""
        data = read_crystal(job.crystal.data)
        data = data.select(data.measured & (data.f > 0))
        mapping = p1_mapping(data.hkl, data.space_group)
        content = {
            "cell": list(data.cell.parameters),
            "hall": data.space_group.hall.strip(),
            "hkl": data.hkl.tolist(),
            "f": data.f.tolist(),
            "p1_hkl": mapping.hkl.tolist(),
            "p1_F": mapping.values(data.f).tolist(),
            "p1_E": mapping.values(normalized_e(data)).tolist(),
            "amplitudes": self.amplitudes,
            "seed": job.seed,
            "time_limit": job.time_limit,
        }
        write_json(job.folder / "job.json", content)
        files = (str(job.folder / name) for name in ("job.json", "result.json"))
        return [self.python, str(self.script), *files]

    def environment(self) -> dict[str, str]:
        """Environment of this process on one thread, without this package's path."""
        environment = {**os.environ, **ONE_THREAD}
        environment.pop("PYTHONPATH", None)
        return environment

    def outcome(self, job: Job, run: Run) -> Outcome:
        """Read RESULT.json."""
        if run.code:
            raise CrysformerError(_last_line(run))
        result = json.loads((job.folder / "result.json").read_text(encoding="utf-8"))
        data = read_crystal(job.crystal.data)
        hkl = np.array(result["hkl"], dtype=np.int32).reshape(-1, 3)
        group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(result["hall"]))
        f = at_indices(data.hkl, data.f, data.space_group, hkl)
        phi = np.array(result["phi"], dtype=np.float64)
        return Outcome(
            phases=PhasedReflections(self.name, (), data.cell, group, hkl, phi, f, f),
            claimed=result["claimed"],
            confidence=None,
            stopped=result["stopped"],
            figures=result["figures"],
        )


def _last_line(run: Run) -> str:
    lines = [line for line in run.err.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with exit code {run.code}"


def known_programs(
    cctbx_python: str | None = None, against: str | None = None
) -> dict[str, Program]:
    """All programs by name, in the order of the tables.

    Parameters
    ----------
    cctbx_python
        Interpreter that has cctbx; this one by default.
    against
        A second installation of this package: its interpreter, or a folder ``src`` that holds it.

    Raises
    ------
    UsageError
        If `against` is neither.
    """
    scripts = Path(str(resources.files("crysformer.evaluation.peers.scripts")))
    programs: list[Program] = [Solve("solve", False), Solve("solve-sequence", True)]
    if against is not None:
        programs += _other_installation(Path(against))
    plain = (
        "in numpy and scipy: threshold 1.1 standard deviations, weakest 20 % shifted by 90 "
        "degrees, 2,000 iterations of one random start after another; stops when the skewness of "
        "the map stays above 1.3 times that of random starts; polished by low-density elimination"
    )
    programs += [
        Script(f"plain-{kind}", f"plain charge flipping on {kind} {plain}",
               scripts / "plain_flipping.py", amplitudes=kind)
        for kind in ("E", "F")
    ]  # fmt: skip
    programs.append(
        Script(
            "cctbx",
            "charge flipping of cctbx (`smtbx.ab_initio`, its defaults) on quasi-normalised "
            "amplitudes; stops at a phase transition of the skewness of the map followed by a "
            "sharp correlation with the symmetry, which is always sharp in P1; polished by its "
            "low-density elimination",
            scripts / "cctbx_flipping.py",
            python=cctbx_python or sys.executable,
            needs="cctbx",
        )
    )
    return {program.name: program for program in programs}


def _other_installation(place: Path) -> list[Program]:
    names = (("other-solve", False), ("other-solve-sequence", True))
    if (place / "crysformer" / "__init__.py").is_file():
        return [Solve(name, given, source=place.absolute()) for name, given in names]
    if place.is_file() and os.access(place, os.X_OK):
        return [Solve(name, given, python=str(place.absolute())) for name, given in names]
    raise UsageError(
        f"`against` {place}: expected a Python interpreter, or a folder src that holds crysformer"
    )
