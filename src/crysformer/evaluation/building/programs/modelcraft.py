"""ModelCraft (Bond & Cowtan, Acta Cryst. D78, 1090, 2022): Buccaneer, Parrot, Coot and Refmac."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.errors import InputError
from crysformer.evaluation.building.programs.program import (
    ProgramFigures,
    ProgramJob,
    no_model,
    write_amplitudes_and_phases,
    write_sequences,
)
from crysformer.processes import Run
from crysformer.schema import Unfit, converted, read_json_object

_FOLDER = "modelcraft"


@dataclass(frozen=True)
class Modelcraft:
    """``modelcraft xray`` from phases and figures of merit, on one thread."""

    name: str = "modelcraft"

    def command(self, job: ProgramJob) -> list[str]:
        """Write data.mtz and contents.fasta."""
        write_amplitudes_and_phases(job, "data.mtz")
        write_sequences(job, "contents.fasta")
        return [
            "xray", "--contents", "contents.fasta", "--data", "data.mtz",
            "--observations", "F,SIGF", "--freerflag", "FreeR_flag", "--phases", "PHIB,FOM",
            "--directory", _FOLDER, "--threads", "1",
        ]  # fmt: skip

    def figures(self, job: ProgramJob, run: Run) -> ProgramFigures:
        """The table ``final`` of modelcraft.json."""
        path = job.folder / _FOLDER / "modelcraft.json"
        if not path.is_file():
            raise no_model(self, run)
        report = read_json_object(path)
        final = report.get("final")
        if final is None:
            raise no_model(self, run, str(report.get("termination_reason") or ""))
        try:
            return ProgramFigures(
                r_work=converted(final["r_work"], float),
                r_free=converted(final["r_free"], float),
                n_residues=converted(final["residues"], int),
            )
        except (Unfit, KeyError, TypeError) as error:
            raise InputError(f"{path.name}: not the report of modelcraft ({error})") from error
