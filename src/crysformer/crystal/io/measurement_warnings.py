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
from crysformer.errors import InputError
from crysformer.wording import counted

#: Unique reflections of exactly the largest value that are no coincidence.
_SATURATED: Final = 3
#: How many of the largest values are looked at.
_STRONGEST: Final = 20
#: Fraction of the measurements that may be lost for want of an uncertainty before it matters.
_MAX_DROPPED: Final = 0.1
#: R(merge) of the intensities of strong reflections above which equivalents are not equal: data of
#: a wrong symmetry, of twin domains, or of images that are not on one scale.
_MAX_R_MERGE: Final = 0.3
#: Below this number of strong reflections the difference must also exceed the uncertainties.
_FEW_EQUIVALENTS: Final = 30
#: Below this number nothing can be said.
_TOO_FEW: Final = 4
#: Variance of equivalents over that of their uncertainties, beyond which few are no coincidence.
_MAX_CHI_SQUARE: Final = 4.0
#: An absent reflection counts as strong from this fraction of the mean intensity of its shell, at
#: which 80 % of acentric and 65 % of centric reflections are.
_PRESENT: Final = 0.2
#: It counts as strong from this many uncertainties.
_SIGMAS: Final = 3.0
#: Reflections of a shell of resolution for that mean.
_SHELL: Final = 50
#: Fraction of all measurements that only a wrong lattice centring makes absent.
_CENTRING: Final = 0.25
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
    text = counted(
        without,
        f"{label} without a positive uncertainty is not used",
        f"{label} without a positive uncertainty are not used",
    )
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
    n = np.unique(group[strong]).size
    if n < _TOO_FEW:
        return []
    difference = (intensity - mean)[strong]
    r_merge = float(np.abs(difference).sum() / intensity[strong].sum())
    if r_merge < _MAX_R_MERGE:
        return []
    if n < _FEW_EQUIVALENTS and sigmas is not None:
        sigma = sigmas if kind == "intensities" else 2 * np.abs(values) * sigmas
        chi_square = float((difference**2 / sigma[strong] ** 2).sum()) / (len(difference) - n)
        if chi_square < _MAX_CHI_SQUARE:
            return []
    return [
        f"equivalent reflections of {space_group.xhm()} differ (R(merge) {r_merge:.2f} for strong "
        "ones): the symmetry is lower, or the data were not scaled before, or come from a twin"
    ]


def present_absences(
    source: str,
    absent: NDArray[np.bool_],
    hkl: NDArray[np.int32],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64] | None,
    kind: Kind,
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
) -> list[str]:
    """Warn of systematic absences that are as strong as other reflections.

    Parameters
    ----------
    source
        The file, for messages.
    absent
        Flags of the absences among the measurements, shape (n,).
    hkl
        Miller indices, shape (n, 3).
    values, sigmas, kind
        As for `disagreement`.
    cell, space_group
        Of the crystal.

    Raises
    ------
    InputError
        If they are so many that the lattice is not centred as the space group says.
    """
    intensity = values if kind == "intensities" else values**2
    others = np.isfinite(intensity) & ~absent
    if not absent.any() or not others.any():
        return []
    inverse_d2 = np.asarray(cell.calculate_1_d2_array(hkl))
    edges = np.quantile(
        inverse_d2[others], np.linspace(0, 1, max(1, int(others.sum()) // _SHELL) + 1)
    )
    shell = np.clip(np.searchsorted(edges, inverse_d2) - 1, 0, len(edges) - 2)
    mean = np.bincount(shell[others], intensity[others], len(edges) - 1) / np.maximum(
        np.bincount(shell[others], minlength=len(edges) - 1), 1
    )
    expected = mean[shell]
    strong, judged = intensity > _PRESENT * expected, absent & (expected > 0)
    if sigmas is not None:
        sigma = sigmas if kind == "intensities" else 2 * np.abs(values) * sigmas
        strong &= intensity > _SIGMAS * sigma
        judged &= _PRESENT * expected > _SIGMAS * sigma  # it would be seen
    strong &= judged
    n, n_strong = int(judged.sum()), int(strong.sum())
    if n_strong < 2 or 2 * n_strong < n:
        return []
    ratio = intensity[judged].sum() / expected[judged].sum()
    what = (
        f"{absent.sum()} of {absent.sum() + others.sum()} reflections are systematic absences of "
        f"{space_group.xhm()}, but strong: {n_strong} of the {n} that can be judged, with "
        f"{100 * ratio:.0f} % of the intensity of other reflections"
    )
    if absent.sum() > _CENTRING * (absent.sum() + others.sum()):
        raise InputError(
            f"{source}: {what}; the lattice is not centred in this way, give the right "
            "`space_group`"
        )
    return [f"{what}; the space group is probably another one; they are not used"]


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
