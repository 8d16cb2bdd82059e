"""Refinement statistics as REMARK 3 of a PDB file."""

from __future__ import annotations

import math
import textwrap

import gemmi

from crysformer.building.writing.finished_model import FinishedModel
from crysformer.building.writing.refinement_record import refinement_details

_WIDTH = 68  # characters of a line of text


def refinement_remarks(structure: gemmi.Structure, model: FinishedModel) -> list[str]:
    """REMARK 2 and 3 from `structure.meta`, in the layout that other programs read back.

    Parameters
    ----------
    structure
        As `refinement_record.describe` leaves it.
    model
        What was described.
    """
    data = model.data
    info = structure.meta.refinement[0]
    program = next(
        (f"{item.name} {item.version}".strip() for item in structure.meta.software
         if item.classification == gemmi.SoftwareItem.Classification.Refinement), "NULL",
    )  # fmt: skip
    n_all = info.reflection_count
    percent = 100 * info.rfree_set_count / n_all if n_all else math.nan
    rows = [
        "",
        "REFINEMENT.",
        f"  PROGRAM     : {program.upper()}",
        "  AUTHORS     : NULL",
        "",
        " DATA USED IN REFINEMENT.",
        f"  RESOLUTION RANGE HIGH (ANGSTROMS) : {data.d_min:.2f}",
        f"  RESOLUTION RANGE LOW  (ANGSTROMS) : {data.d_max:.2f}",
        f"  COMPLETENESS FOR RANGE        (%) : {info.completeness:.1f}",
        f"  NUMBER OF REFLECTIONS             : {n_all}",
        "",
        " FIT TO DATA USED IN REFINEMENT.",
        f"  CROSS-VALIDATION METHOD          : {info.cross_validation_method}",
        f"  FREE R VALUE TEST SET SELECTION  : {info.rfree_selection_method or 'NULL'}",
        f"  R VALUE     (WORKING + TEST SET) : {_value(info.r_all, 4)}",
        f"  R VALUE            (WORKING SET) : {_value(info.r_work, 4)}",
        f"  FREE R VALUE                     : {_value(info.r_free, 4)}",
        f"  FREE R VALUE TEST SET SIZE   (%) : {_value(percent, 2)}",
        f"  FREE R VALUE TEST SET COUNT      : {info.rfree_set_count}",
        "",
        *_highest_shell(info),
        " B VALUES.",
        f"  MEAN B VALUE      (OVERALL, A**2) : {_value(info.mean_b, 2)}",
        "  OVERALL ANISOTROPIC B VALUE.",
        *(
            f"   {name} (A**2) : {value:.3f}"
            for name, value in zip(
                ("B11", "B22", "B33", "B12", "B13", "B23"), info.aniso_b.elements_pdb(), strict=True
            )
        ),
    ]
    deviations = [row for row in info.restr_stats if row.name in _NAMES]
    if deviations:
        rows += ["", " RMS DEVIATIONS FROM IDEAL VALUES."]
        rows += [
            f"  {_NAMES[row.name]} : {row.count:6d} ; {row.dev_ideal:8.4f}" for row in deviations
        ]
    details = f"OTHER REFINEMENT REMARKS: {refinement_details(model)}"
    rows += ["", *(f" {line}" for line in textwrap.wrap(details, _WIDTH))]
    head = ["REMARK   2", f"REMARK   2 RESOLUTION. {data.d_min:7.2f} ANGSTROMS."]
    return [line.ljust(80) for line in [*head, *(f"REMARK   3 {row}".rstrip() for row in rows)]]


_NAMES = {
    "f_bond_d": "BOND LENGTHS                    (A)",
    "f_angle_d": "BOND ANGLES               (DEGREES)",
}


def _highest_shell(info: gemmi.RefinementInfo) -> list[str]:
    if not info.bins:
        return []
    shell = min(info.bins, key=lambda shell: shell.resolution_high)
    return [
        " FIT IN THE HIGHEST RESOLUTION BIN.",
        f"  TOTAL NUMBER OF BINS USED           : {info.bin_count}",
        f"  BIN RESOLUTION RANGE HIGH       (A) : {shell.resolution_high:.2f}",
        f"  BIN RESOLUTION RANGE LOW        (A) : {shell.resolution_low:.2f}",
        f"  REFLECTION IN BIN     (WORKING SET) : {shell.work_set_count}",
        f"  BIN R VALUE           (WORKING SET) : {_value(shell.r_work, 4)}",
        f"  BIN FREE R VALUE SET COUNT          : {shell.rfree_set_count}",
        f"  BIN FREE R VALUE                    : {_value(shell.r_free, 4)}",
        "",
    ]


def _value(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "NULL"
