"""Contents of the cell: number of atoms, mean B, sequences and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crysformer.crystal.cell_composition import cell_composition, check_fits, estimate_copies
from crysformer.crystal.normalisation import PROTEIN_RESIDUE, wilson_b
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import UsageError


@dataclass(frozen=True)
class CellContent:
    """Contents of the whole unit cell.

    Attributes
    ----------
    n_atoms
        Atoms but hydrogen in the whole cell, or None if there is no sequence.
    b_iso
        Mean B from the Wilson plot, A^2, kept within what is usual at the resolution.
    sequences
        The chains of one copy; empty if unknown.
    copies
        Copies in the asymmetric unit.
    notes
        Assumptions, a sentence each.
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
    wilson = wilson_b(data, contents)
    b_iso = float(np.clip(wilson.b_iso, *wilson.usual_b))
    if b_iso != wilson.b_iso:
        notes.append(
            f"the Wilson plot gives a B of {wilson.b_iso:.1f} A^2; the search takes {b_iso:g}"
        )
    return CellContent(n_atoms, b_iso, tuple(sequences), copies or 1, tuple(notes))
