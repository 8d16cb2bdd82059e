"""Measurements merged in another space group, and the Laue class of a list without one."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.merging import group_equivalents, merge
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.crystal.unit_cell import is_consistent

#: R of mates' intensities above which they are not equivalent.
MATES_DIFFER = 0.25
# Completeness, relative to the best Laue class, of one that explains the list.
_AS_COMPLETE = 0.9


def in_space_group(data: CrystalData, group: gemmi.SpaceGroup) -> CrystalData:
    """Merge measurements in another space group of the same cell.

    Parameters
    ----------
    data
        The crystal, in the space group that was stated.
    group
        Another one, in the setting of the cell.

    Returns
    -------
    CrystalData
        One row for each unique reflection of `group`, in gemmi's asymmetric unit; systematically
        absent ones are not measured. Free flags are those of the first mate.
    """
    if _laue(data.space_group) - _laue(group):
        data = expand_to_p1(data)[0]  # mates have been merged that the group does not relate
    first, member = group_equivalents(data.hkl, group)
    if _laue(data.space_group) == _laue(group):
        f, sigf = data.f, data.sigf
    else:
        f, sigf = merge(member, data.f, data.sigf)
    asu, operations = gemmi.ReciprocalAsu(group), group.operations()
    hkl = np.array([asu.to_asu(h, operations)[0] for h in data.hkl[first].tolist()], dtype=np.int32)
    absent = np.asarray(operations.systematic_absences(hkl), dtype=bool)
    note = f"merged in {group.xhm()}, the space group found, from {data.space_group.xhm()}"
    return replace(
        data,
        space_group=group,
        hkl=hkl,
        f=np.where(absent, np.nan, f),
        sigf=None if sigf is None else np.where(absent, np.nan, sigf),
        free=None if data.free is None else data.free[first],
        space_group_known=True,
        notes=(*data.notes, note),
    )


def laue_group(
    hkl: NDArray[np.int32], intensity: NDArray[np.float64], cell: gemmi.UnitCell
) -> gemmi.SpaceGroup:
    """Space group without translations that stands for the Laue class of a list of reflections.

    A merged list covers the asymmetric unit of its Laue class, and no more. Of the classes that
    the lattice allows and whose mates agree, where they are listed, the lowest counts in which the
    list is about as complete as in any.

    Parameters
    ----------
    hkl
        Miller indices, shape (n, 3).
    intensity
        Measured intensities or their estimates, shape (n,); NaN where not measured.
    cell
        Unit cell.

    Returns
    -------
    gemmi.SpaceGroup
        For Laue class mmm, ``P 2 2 2``.
    """
    used = np.isfinite(intensity) & hkl.any(axis=1)
    hkl, intensity = np.ascontiguousarray(hkl[used]), intensity[used]
    d_min = float(np.asarray(cell.calculate_d_array(hkl)).min())
    completeness: dict[str, float] = {}
    for group in gemmi.spacegroup_table():
        if not (group.is_sohncke() and group.is_symmorphic() and group.centring_type() == "P"):
            continue
        if is_consistent(cell, group) and _mates_agree(hkl, intensity, group):
            possible = len(gemmi.make_miller_array(cell, group, d_min))
            found = len(group_equivalents(hkl, group)[0])
            completeness[group.xhm()] = found / max(possible, 1)
    enough = _AS_COMPLETE * max(completeness.values())
    groups = [gemmi.SpaceGroup(name) for name, value in completeness.items() if value >= enough]
    return min(groups, key=lambda group: len(group.operations()))


def _laue(group: gemmi.SpaceGroup) -> set[bytes]:
    rotations = operators(group).rotations
    return {rotation.tobytes() for rotation in (*rotations, *-rotations)}


def _mates_agree(
    hkl: NDArray[np.int32], intensity: NDArray[np.float64], group: gemmi.SpaceGroup
) -> bool:
    r = mates_r(hkl, intensity, group)
    return r is None or r <= MATES_DIFFER


def mates_r(
    hkl: NDArray[np.int32], intensity: NDArray[np.float64], group: gemmi.SpaceGroup
) -> float | None:
    """R = sum |I - <I>| / sum I over symmetry mates; None where no two are listed.

    Parameters
    ----------
    hkl
        Miller indices, shape (n, 3).
    intensity
        Their intensities, shape (n,), finite.
    group
        Space group, in the setting of `hkl`.
    """
    _, member = group_equivalents(hkl, group)
    count = np.bincount(member)
    mean = np.bincount(member, intensity) / count
    several = count[member] > 1
    total = float(intensity[several].sum())
    if not total > 0:
        return None
    return float(np.abs(intensity - mean[member])[several].sum() / total)
