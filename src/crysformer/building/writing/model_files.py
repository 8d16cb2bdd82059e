"""All files of a built model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crysformer.building.validation.validation import Validation
from crysformer.building.writing.coot_script import write_coot_script
from crysformer.building.writing.finished_model import FinishedModel
from crysformer.building.writing.model_cif import write_model_cif
from crysformer.building.writing.model_pdb import write_model_pdb
from crysformer.building.writing.shelxl_hkl import shelxl_hkl
from crysformer.building.writing.shelxl_ins import shelxl_ins
from crysformer.building.writing.solution_mtz import write_model_phases
from crysformer.files import write_bytes

MODEL_CIF, MODEL_PDB, SOLUTION_MTZ = "model.cif", "model.pdb", "solution.mtz"
MODEL_INS, MODEL_HKL, OPEN_IN_COOT = "model.ins", "model.hkl", "open.py"
#: All files that `write_model_files` may write.
MODEL_FILES = (MODEL_CIF, MODEL_PDB, SOLUTION_MTZ, MODEL_INS, MODEL_HKL, OPEN_IN_COOT)

_ATOMIC = 1.2
"""Resolution in A from which files for SHELXL are written."""


def write_model_files(
    folder: Path,
    model: FinishedModel,
    sequences: Sequence[str] = (),
    validation: Validation | None = None,
) -> tuple[str, ...]:
    """Write the model, its reflections and maps, and a script that opens them in Coot.

    These are model.cif, model.pdb, solution.mtz, open.py, and for data to 1.2 A or better
    model.ins and model.hkl for SHELXL. Each file is written whole or not at all; a caller that
    wants all of them or none writes into `crysformer.files.staged_files`.

    Parameters
    ----------
    folder
        An existing folder.
    model
        As `crysformer.building.build` returns it.
    sequences
        Of the crystal's chains, also what is not modelled (`crysformer.peptide.chain` notation).
    validation
        For the deviations from ideal geometry in the headers.

    Returns
    -------
    tuple
        Names of the files written.

    Raises
    ------
    CrysformerError
        If a file cannot be written.
    """
    write_model_cif(folder / MODEL_CIF, model, sequences, validation)
    write_model_pdb(folder / MODEL_PDB, model, sequences, validation)
    write_model_phases(folder / SOLUTION_MTZ, model)
    write_coot_script(folder / OPEN_IN_COOT, MODEL_CIF, SOLUTION_MTZ)
    written = (MODEL_CIF, MODEL_PDB, SOLUTION_MTZ, OPEN_IN_COOT)
    if model.data.d_min > _ATOMIC:
        return written
    title = f"model in {model.data.space_group.xhm()}"
    texts = {
        MODEL_INS: shelxl_ins(model, title),
        MODEL_HKL: shelxl_hkl(model.data, model.free),
    }
    for name, text in texts.items():
        write_bytes(folder / name, text.encode("ascii", errors="replace"))
    return (*written, *texts)
