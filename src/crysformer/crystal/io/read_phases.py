"""Reading phases that any program wrote, as MTZ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.phase_columns import choose_phase_columns
from crysformer.crystal.io.read import read_crystal, read_table
from crysformer.crystal.merging import group_equivalents
from crysformer.crystal.miller import MillerLookup
from crysformer.crystal.space_groups import resolve_symmetry
from crysformer.crystal.symmetry import P1, p1_mapping
from crysformer.errors import InputError


@dataclass(frozen=True, eq=False)
class PhasedReflections:
    """Phases of one crystal.

    Attributes
    ----------
    source
        The file, for messages.
    labels
        The columns used: F, PHI and FOM, as far as there are any.
    cell, space_group
        Of the file.
    hkl
        Unique Miller indices, shape (n, 3), int32.
    phi
        Degrees, shape (n,); NaN where there is none.
    f_map
        Amplitudes of the map coefficients, FOM included, shape (n,); NaN where there is none.
    f
        Measured amplitudes, shape (n,), NaN where not measured; or None if the file has none.
    """

    source: str
    labels: tuple[str, ...]
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    hkl: NDArray[np.int32]
    phi: NDArray[np.float64]
    f_map: NDArray[np.float64]
    f: NDArray[np.float64] | None = None

    @property
    def coefficients(self) -> NDArray[np.complex128]:
        """Map coefficients, shape (n,); NaN without amplitude or phase."""
        return np.asarray(self.f_map * np.exp(1j * np.radians(self.phi)))

    def expanded(self) -> PhasedReflections:
        """The same in P1, one of each Friedel pair."""
        mapping = p1_mapping(self.hkl, self.space_group)
        return PhasedReflections(
            self.source, self.labels, self.cell, P1, mapping.hkl, mapping.phases(self.phi),
            mapping.values(self.f_map), None if self.f is None else mapping.values(self.f),
        )  # fmt: skip


def read_phases(
    path: str | Path, labin: str | None = None, option: str = "labin"
) -> PhasedReflections:
    """Read phases and what belongs to them.

    Where a file lists equivalent reflections the first one counts. Measured amplitudes are those
    that `read_crystal` finds in the file; a file without any, or with several, has none.

    Parameters
    ----------
    path
        An MTZ file, gzipped or not.
    labin
        ``F,PHI``, ``F,PHI,FOM`` or ``PHI``, where `choose_phase_columns` finds several phases.
    option
        Name of the parameter that chooses columns, for messages.

    Raises
    ------
    InputError
        If the file cannot be read, or its phases are none or several.
    UsageError
        If `labin` has no meaning.
    """
    source = str(path)
    table = read_table(Path(path), source)
    columns = choose_phase_columns(table, labin, option)
    cell, group = resolve_symmetry(source, columns.phase.cell or table.cell, table.space_group)
    first, _ = group_equivalents(table.hkl, group)
    hkl = np.ascontiguousarray(table.hkl[first])
    phi = columns.phase.values[first]
    if not np.isfinite(phi).any():
        raise InputError(f"{source}: {columns.phase.label} holds no phase; choose another column")
    f = _measured(path, cell, group, hkl)
    f_map = columns.amplitude.values[first] if columns.amplitude is not None else f
    if f_map is None:
        f_map = np.full(len(hkl), np.nan)
    if columns.fom is not None:
        f_map = f_map * columns.fom.values[first]
    return PhasedReflections(source, columns.labels, cell, group, hkl, phi, f_map, f)


def _measured(
    path: str | Path, cell: gemmi.UnitCell, group: gemmi.SpaceGroup, hkl: NDArray[np.int32]
) -> NDArray[np.float64] | None:
    """Measured amplitudes of the file at `hkl`, or None if it has none or several sets."""
    try:
        data = read_crystal(path, cell=cell, space_group=group)
    except InputError:
        return None
    return at_indices(data.hkl, data.f, group, hkl)


def at_indices(
    hkl: NDArray[np.int32],
    f: NDArray[np.float64],
    group: gemmi.SpaceGroup,
    wanted: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Amplitudes `f` of unique reflections `hkl` at the equivalent indices `wanted`.

    Returns
    -------
    numpy.ndarray
        Shape (len(wanted),); NaN where `hkl` has no equivalent.
    """
    mapping = p1_mapping(hkl, group)
    rows = MillerLookup(np.concatenate((mapping.hkl, -mapping.hkl))).rows(wanted)
    return np.where(rows >= 0, np.tile(mapping.values(f), 2)[rows], np.nan)


def coefficients_at(
    hkl: NDArray[np.int32], F: NDArray[np.complex128], wanted: NDArray[np.int32]
) -> NDArray[np.complex128]:
    """Coefficients `F` of a P1 list of one hemisphere at `wanted` indices of either.

    Returns
    -------
    numpy.ndarray
        Shape (len(wanted),); NaN where `hkl` has neither the index nor its Friedel mate.
    """
    rows = MillerLookup(np.concatenate((hkl, -hkl))).rows(wanted)
    return np.where(rows >= 0, np.concatenate((F, F.conj()))[rows], np.nan)
