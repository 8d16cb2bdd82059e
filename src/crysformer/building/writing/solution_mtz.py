"""Reflections with the phases of a model as an MTZ file."""

from __future__ import annotations

import os

import numpy as np

from crysformer.building.writing.finished_model import FinishedModel
from crysformer.crystal.io.write import mtz_with, write_mtz


def write_model_phases(path: str | os.PathLike[str], model: FinishedModel) -> None:
    """Write measured amplitudes, structure factors of the model and map coefficients.

    Columns: F SIGF FreeR_flag; FC PHIC, the total structure factor of the model with solvent, on
    the scale of F; FWT PHWT (2mFo-DFc) and DELFWT PHDELWT (mFo-DFc), which Coot and others open
    by themselves; FOM and PHIB, and Hendrickson-Lattman coefficients HLA to HLD. FreeR_flag is as
    in the input, or drawn (0 is free). Title, history, wavelength and names of the input are kept.

    Parameters
    ----------
    path
        The file; missing parent folders are made.
    model
        The model; its map coefficients may be NaN where a reflection was not measured.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    data, maps = model.data, model.coefficients
    F = model.scaled.F_model
    phase = np.degrees(np.angle(F))
    columns = [
        ("FC", "F", np.abs(F)),
        ("PHIC", "P", phase),
        ("FWT", "F", maps.fwt),
        ("PHWT", "P", maps.phwt),
        ("DELFWT", "F", maps.delfwt),
        ("PHDELWT", "P", maps.phdelwt),
        ("FOM", "W", maps.fom),
        ("PHIB", "P", np.where(np.isfinite(maps.fom), phase, np.nan)),
        ("HLA", "A", maps.hla),
        ("HLB", "A", maps.hlb),
        ("HLC", "A", maps.hlc),
        ("HLD", "A", maps.hld),
    ]
    flags = None if model.free.origin == "none" else model.free.flags
    write_mtz(path, mtz_with(data, flags, columns))
