"""A script of `evaluation.peers.scripts` as a program."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gemmi
import numpy as np

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.read_phases import PhasedReflections, at_indices
from crysformer.crystal.normalisation import normalized_e
from crysformer.crystal.symmetry import p1_mapping
from crysformer.errors import CrysformerError
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.evaluation.peers.program import Job, Outcome, last_line
from crysformer.files import write_json
from crysformer.processes import ONE_THREAD, Run


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
        print its version for the argument ``version``.
    """

    name: str
    description: str
    script: Path
    python: str = sys.executable
    amplitudes: str = "E"
    needs: str = ""

    @cached_property
    def _asked(self) -> subprocess.CompletedProcess[str]:
        """The script's answer to the argument version."""
        return subprocess.run(
            [self.python, str(self.script), "version"],
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    @property
    def version(self) -> str:
        """Digest of the script, after the version of what it needs."""
        digest = hashlib.sha256(self.script.read_bytes()).hexdigest()[:8]
        if not self.needs:
            return f"script {digest}"
        return f"{self.needs} {self._asked.stdout.strip()}, script {digest}"

    def unavailable(self) -> str:
        """Reason why it cannot be run here, or empty."""
        if not self.needs:
            return ""
        try:
            failed = self._asked.returncode
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
            raise CrysformerError(last_line(run))
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
