"""Model as a PDB file with the description of data and refinement in its header."""

from __future__ import annotations

import os
from collections.abc import Sequence

from crysformer.building.validation.validation import Validation
from crysformer.building.writing.finished_model import FinishedModel
from crysformer.building.writing.model_cif import described_structure
from crysformer.building.writing.remark_3 import refinement_remarks
from crysformer.files import write_bytes


def write_model_pdb(
    path: str | os.PathLike[str],
    model: FinishedModel,
    sequences: Sequence[str] = (),
    validation: Validation | None = None,
) -> None:
    """Write a model in PDB format; names of more than three letters are shortened.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    structure = described_structure(model, sequences, validation)
    structure.shorten_ccd_codes()
    structure.raw_remarks = refinement_remarks(structure, model)
    write_bytes(path, structure.make_pdb_string().encode("ascii", errors="replace"))
