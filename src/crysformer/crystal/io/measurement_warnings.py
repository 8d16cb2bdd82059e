"""Signs that the measurements of a file are cut off, incomplete, or not what they seem."""

from __future__ import annotations

import re
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.column_selection import ColumnChoice
from crysformer.crystal.io.reflection_table import Probe, ReflectionTable
from crysformer.crystal.merging import group_equivalents, merge
from crysformer.crystal.reflections import Kind, Radiation

#: Unique reflections of exactly the largest value that are no coincidence.
_SATURATED: Final = 3
#: How many of the largest values are looked at.
_STRONGEST: Final = 20
#: Fraction of the measurements that may be lost for want of an uncertainty before it matters.
_MAX_DROPPED: Final = 0.1
#: R(merge) of the intensities of strong reflections above which equivalents are not equal: data of
#: a wrong symmetry, of twin domains, or of images that are not on one scale.
_MAX_R_MERGE: Final = 0.3
_FEW_EQUIVALENTS: Final = 30
#: Electrons of 60 to 400 keV have 0.05 to 0.016 A; no X-ray beam line is below 0.1 A.
_ELECTRON_WAVELENGTH: Final = 0.1


def saturation(
    table: ReflectionTable, choice: ColumnChoice, space_group: gemmi.SpaceGroup
) -> list[str]:
    """Warn of strong reflections that all have the largest number the format can hold."""
    warnings = []
    for column in choice.values:
        values = np.where(np.isfinite(column.values), column.values, -np.inf)
        for limit in np.unique(values)[::-1][:_STRONGEST]:
            at_limit = values == limit
            # the largest value; below it only a row of nines, the widest number of a format
            widest = limit == values.max() or re.fullmatch("9+[.]?9*", f"{limit:.7g}")
            if not limit > 0 or not widest:
                continue
            unique = len(group_equivalents(table.hkl[at_limit], space_group)[0])
            if unique >= _SATURATED and not at_limit.all():
                warnings.append(
                    f"{unique} of the strongest reflections have the same {column.label} of "
                    f"{limit:.7g}: they were cut off there; write the file again on a smaller scale"
                )
                break
    return warnings


def dropped(label: str, without: int, measured: int) -> tuple[str, bool]:
    """Text on values without a positive uncertainty, and whether they are a serious loss."""
    text = f"{without} {label} without a positive uncertainty are not used"
    serious = without > _MAX_DROPPED * measured
    if serious:
        text += (
            f", {100 * without / measured:.0f} % of all: the scale may be too small for the "
            "format; write the file again on a larger one"
        )
    return text, serious


def disagreement(
    group: NDArray[np.int64],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64] | None,
    kind: Kind,
    space_group: gemmi.SpaceGroup,
) -> list[str]:
    """Warn of symmetry equivalents that differ far more than measurements of one reflection do.

    Parameters
    ----------
    group
        Group of each row, shape (n,), as `group_equivalents` gives it.
    values, sigmas
        Measurements and their uncertainties (or None), shape (n,).
    kind
        What they are.
    space_group
        For the message.
    """
    intensity = values if kind == "intensities" else values**2
    there = np.isfinite(intensity)
    mean = merge(group, intensity, None)[0][group]
    several = np.bincount(group, there)[group] > 1
    strong = there & several & (mean > np.nanmean(intensity))
    if np.unique(group[strong]).size < _FEW_EQUIVALENTS:
        return []
    r_merge = float(np.abs(intensity - mean)[strong].sum() / intensity[strong].sum())
    if r_merge < _MAX_R_MERGE:
        return []
    return [
        f"equivalent reflections of {space_group.xhm()} differ (R(merge) {r_merge:.2f} for strong "
        "ones): the symmetry is lower, or the data were not scaled before, or come from a twin"
    ]


def wrong_radiation(
    radiation: Radiation, wavelength: float | None, probe: Probe | None
) -> list[str]:
    """Warn of scattering factors that do not belong to the wavelength or method of the file."""
    if probe == "neutron":
        return ["the file says neutron diffraction; neutron scattering factors are not available"]
    found = probe
    if found is None and wavelength is not None:
        found = "electron" if wavelength < _ELECTRON_WAVELENGTH else "xray"
    if found is None or found == radiation:
        return []
    measured = f"a wavelength of {wavelength:g} A" if wavelength else "the method of the file"
    means = "electrons" if found == "electron" else "X-rays"
    return [
        f"{measured} means {means}, but {radiation} scattering factors are used; give `radiation` "
        f"{found}"
    ]
