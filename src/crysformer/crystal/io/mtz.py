"""Reading MTZ files into a table of typed columns."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError


def read_mtz(path: Path, source: str) -> ReflectionTable:
    """Read a merged MTZ file (not compressed).

    Parameters
    ----------
    path
        The file.
    source
        What to call it in messages.

    Raises
    ------
    InputError
        If the file is truncated or broken, or holds unmerged data in batches.
    """
    try:
        mtz = gemmi.read_mtz_file(str(path))
        columns = tuple(_column(mtz, column) for column in mtz.columns[3:])
    except (RuntimeError, ValueError) as error:
        reason = str(error).replace(str(path), "").strip(" :")
        raise InputError(
            f"{source}: a truncated or broken MTZ file ({reason}); get it again from where it "
            "was made"
        ) from error
    if len(mtz.batches) > 0:
        raise InputError(
            f"{source}: unmerged data in {len(mtz.batches)} batches; scale and merge them first "
            "(for example with aimless or dials.merge)"
        )
    if len(mtz.columns) < 3 or mtz.nreflections == 0:
        raise InputError(f"{source}: an MTZ file without reflections (broken, or cut short?)")
    return ReflectionTable(
        source=source,
        hkl=np.ascontiguousarray(mtz.make_miller_array(), dtype=np.int32),
        columns=columns,
        cell=mtz.cell if mtz.cell.is_crystal() else None,
        space_group=mtz.spacegroup,
    )


def _column(mtz: gemmi.Mtz, column: gemmi.Mtz.Column) -> Column:
    with np.errstate(invalid="ignore"):  # signalling NaN among the missing values
        values = np.array(column.array, dtype=np.float64)
    # VALM names the number that stands for a missing value; NaN where it is NaN itself.
    values[values == np.float32(mtz.valm)] = np.nan
    cell = mtz.get_cell(column.dataset_id)
    return Column(column.label, column.type, values, cell if cell.is_crystal() else None)
