"""`crysformer solve` as a program, of this installation or of another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crysformer.crystal.io.read_phases import read_phases
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.evaluation.peers.program import Job, Outcome, last_line
from crysformer.processes import ONE_THREAD, Run

SOLVE_LABELS = "FWT,PHWT"  # of solution.mtz
_SOURCES = ("crystal", "models", "peptide", "phasing", "weights", "workflow", "settings.py")


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
        return (
            f"`crysformer solve` {given}, without building and report, as the others make no "
            "model; stops when its confidence reaches its limit"
        )

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
        log = ["git", "-C", folder, "rev-list", "-1", "HEAD", "--", *_SOURCES]
        try:
            commit = subprocess.run(log, capture_output=True, text=True).stdout[:7]
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
        crystal, options = job.crystal, dict[str, object]()
        if self.sequence and crystal.sequence is not None:
            options["sequence"] = crystal.sequence
            if crystal.copies is not None:
                options["copies"] = crystal.copies
        options |= {"time-limit": f"{job.time_limit:g}", "seed": job.seed, "device": "cpu"}
        words = [self.python, "-m", "crysformer", "solve", str(crystal.data), "-q"]
        words += [f"--{name}" for name in ("no-build", "no-report")]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        return [*words, "-o", str(job.folder / "solve")]

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
            raise CrysformerError(last_line(run))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        figures = summary["candidates"][0]["figures"] if summary["candidates"] else {}
        return Outcome(
            phases=read_phases(folder / "solution.mtz", SOLVE_LABELS),
            claimed=summary["solved"],
            confidence=summary["confidence"],
            stopped="converged" if summary["solved"] else "time limit",
            figures={"method": summary["method"], **figures},
        )
