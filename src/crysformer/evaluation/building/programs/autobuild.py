"""phenix.autobuild (Terwilliger et al., Acta Cryst. D64, 61, 2008), with density modification."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from crysformer.evaluation.building.programs.program import (
    ProgramFigures,
    ProgramJob,
    no_model,
    write_amplitudes,
    write_map_coefficients,
    write_sequences,
)
from crysformer.processes import Run

_MODEL = "AutoBuild_run_1_/overall_best.pdb"
_PAIR = r"R/Rfree\s*=\s*([\d.]+)\s*/\s*([\d.]+)"
_CYCLE = re.compile(rf"Cycle\s+(\d+)\s+{_PAIR}\s+Built=(\d+)\s+Placed=(\d+)")
_BEST = re.compile(rf"Best solution on cycle:\s*(\d+)\s+{_PAIR}")
#: REMARK 3 of the model, with more decimals than the log.
_R_WORK = re.compile(r"^REMARK   3\s+R VALUE\s+\(WORKING SET\)\s*:\s*([\d.]+)", re.MULTILINE)
_R_FREE = re.compile(r"^REMARK   3\s+FREE R VALUE\s*:\s*([\d.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Autobuild:
    """phenix.autobuild with its default procedure, as the authors of CrysFormer ran it."""

    name: str = "phenix.autobuild"

    def command(self, job: ProgramJob) -> list[str]:
        """Write amplitudes.mtz, map.mtz and seq.fasta."""
        write_amplitudes(job, "amplitudes.mtz")
        write_map_coefficients(job, "map.mtz")
        write_sequences(job, "seq.fasta")
        return ["seq_file=seq.fasta", "data=amplitudes.mtz", "map_file=map.mtz"]

    def figures(self, job: ProgramJob, run: Run) -> ProgramFigures:
        """R factors of the best cycle and its residues from the log, R factors from the model."""
        found = read_log(run.out)
        if found is None:
            raise no_model(self, run)
        model = job.folder / _MODEL
        text = model.read_text("utf-8", errors="replace") if model.is_file() else ""
        r_work, r_free = _R_WORK.search(text), _R_FREE.search(text)
        if r_work is not None and r_free is not None:
            found = replace(found, r_work=float(r_work[1]), r_free=float(r_free[1]))
        return found


def read_log(text: str) -> ProgramFigures | None:
    """Figures of the best cycle; None where there is none, or its R factors are none.

    A cycle without a model has the R factors 999.90.
    """
    best = list(_BEST.finditer(text))
    if not best:
        return None
    number, r_work, r_free = int(best[-1][1]), float(best[-1][2]), float(best[-1][3])
    if not (0 <= r_work < 1 and 0 <= r_free < 1):
        return None
    cycles = {int(cycle[1]): cycle for cycle in _CYCLE.finditer(text)}
    cycle = cycles.get(number)
    built, placed = (None, None) if cycle is None else (int(cycle[4]), int(cycle[5]))
    return ProgramFigures(r_work, r_free, n_residues=built, n_placed=placed)
