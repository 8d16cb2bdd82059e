"""What is in the cell: number of atoms, mean B, and how much of it is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from crysformer.crystal.cell_composition import cell_composition, check_fits, estimate_copies
from crysformer.crystal.normalisation import PROTEIN_RESIDUE, wilson_b
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import UsageError

B_RANGE = (3.0, 80.0)
# Share of the voxels that charge flipping should leave positive: measured on tight dipeptide
# cells and on 15-residue fragments in empty cells at 1.5 A, in between linear in the atoms for a
# volume, and in proportion to the area of an atom at other resolutions.
_SHARE_EMPTY, _SHARE_PER_DENSITY = 0.06, 7.5
_SHARE_RANGE = (0.07, 0.26)
_SHARE_SPREAD = (0.75, 1.25)
# Supports of RAAR: the molecule where the cell is empty; elsewhere no more than this share of it,
# which then holds the atoms rather than the molecule and follows them more closely.
_ATOM_VOLUME = 20.0  # A^3, hydrogen included
_MOLECULE_ROOM, _MOLECULE_WIDTH = 1.25, 1.5  # of its volume; A
_SUPPORT_MOST = 0.27


@dataclass(frozen=True)
class CellContent:
    """Contents of the whole unit cell.

    Attributes
    ----------
    n_atoms
        Atoms but hydrogen in the whole cell, or None if there is no sequence.
    b_iso
        Mean B from the Wilson plot, kept within 3 to 80 A^2.
    sequences
        The chains of one copy; empty if unknown.
    copies
        Copies in the asymmetric unit.
    notes
        What was assumed, one sentence each.
    """

    n_atoms: int | None
    b_iso: float
    sequences: tuple[str, ...]
    copies: int
    notes: tuple[str, ...]


def cell_content(
    data: CrystalData, sequences: Sequence[str] = (), copies: int | None = None
) -> CellContent:
    """Work out the cell's contents from the data and the sequences.

    Raises
    ------
    InputError
        If the sequences do not fit into the cell, or there are too few amplitudes.
    UsageError
        If copies are given without a sequence, or are not positive.
    """
    if copies is not None and copies < 1:
        raise UsageError(f"`copies` is {copies}: expected a whole number from 1")
    notes: list[str] = []
    n_atoms: int | None = None
    contents: Mapping[str, float] = PROTEIN_RESIDUE
    if sequences:
        if copies is None:
            estimate = estimate_copies(data.cell, data.space_group, sequences)
            copies = estimate.copies
            notes.append(estimate.statement)
        check_fits(data.cell, data.space_group, sequences, copies)
        atoms = cell_composition(data.space_group, sequences, copies)
        contents, n_atoms = atoms, sum(atoms.values())
    elif copies is not None:
        raise UsageError("`copies` needs `sequence`: without it there is nothing to count")
    wilson = wilson_b(data, contents).b_iso
    b_iso = float(np.clip(wilson, *B_RANGE))
    if b_iso != wilson:
        notes.append(f"the Wilson plot gives a B of {wilson:.1f} A^2; the search takes {b_iso:g}")
    return CellContent(n_atoms, b_iso, tuple(sequences), copies or 1, tuple(notes))


def positive_fractions(
    content: CellContent, volume: float, d_min: float, n: int, generator: torch.Generator
) -> torch.Tensor:
    """Shares of positive voxels for `n` starts of charge flipping, shape (n,).

    Spread around the value expected for the number of atoms; over the whole range where that is
    unknown. `volume` in A^3, `d_min` in A.
    """
    uniform = torch.rand(n, generator=generator)
    low, high = _SHARE_RANGE
    if content.n_atoms is None:
        return low * (high / low) ** uniform
    density = content.n_atoms / volume * (d_min / 1.5) ** 2
    expected = min(max(_SHARE_EMPTY + _SHARE_PER_DENSITY * density, low), high)
    narrow, wide = _SHARE_SPREAD
    return expected * (narrow + (wide - narrow) * uniform)


def filled_fraction(content: CellContent, volume: float) -> float | None:
    """Share of the cell that atoms fill, or None if their number is unknown; `volume` in A^3."""
    return None if content.n_atoms is None else content.n_atoms * _ATOM_VOLUME / volume


def supports(
    content: CellContent, volume: float, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Supports for `n` starts of RAAR: shares of the voxels and widths in A, shape (n,) each.

    Spread around the room that the molecules need, or about a quarter of the cell if that is less;
    over the whole range where the number of atoms is unknown. `volume` in A^3.
    """
    uniform = torch.rand(n, generator=generator)
    filled = filled_fraction(content, volume)
    if filled is None:
        low, high = _SHARE_RANGE
        share = low * (high / low) ** uniform
        return share, _MOLECULE_WIDTH * torch.rand(n, generator=generator).clamp(min=0.3)
    narrow, wide = _SHARE_SPREAD
    room = _MOLECULE_ROOM * filled
    share = min(room, _SUPPORT_MOST) * (narrow + (wide - narrow) * uniform)
    return share, _MOLECULE_WIDTH * share / room
