"""Contents of the cell: number of atoms, mean B, sequences and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crysformer.crystal.cell_composition import (
    cell_composition,
    check_fits,
    check_formula_fits,
    estimate_copies,
    estimate_formula_copies,
)
from crysformer.crystal.molecular_formula import heavy_atoms
from crysformer.crystal.normalisation import PROTEIN_RESIDUE, wilson_b
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import UsageError


@dataclass(frozen=True)
class CellContent:
    """Contents of the whole unit cell.

    Attributes
    ----------
    n_atoms
        Atoms but hydrogen in the whole cell, or None if neither sequence nor composition is known.
    b_iso
        Mean B from the Wilson plot, A^2, kept within what is usual at the resolution.
    sequences
        The chains of one copy; empty if unknown.
    copies
        Copies in the asymmetric unit.
    notes
        Assumptions, a sentence each.
    composition
        Atoms but hydrogen in the whole cell by element; empty if unknown.
    """

    n_atoms: int | None
    b_iso: float
    sequences: tuple[str, ...]
    copies: int
    notes: tuple[str, ...]
    composition: Mapping[str, int] = field(default_factory=dict)


def cell_content(
    data: CrystalData,
    sequences: Sequence[str] = (),
    copies: int | None = None,
    formula: Mapping[str, int] | None = None,
) -> CellContent:
    """Work out the cell's contents from the data and the sequences or a molecular formula.

    Parameters
    ----------
    data
        The crystal.
    sequences
        Chains of one copy; empty if unknown.
    copies
        Copies of the chains or of the formula in the asymmetric unit; estimated by default.
    formula
        Atoms of one molecule by element (`crysformer.crystal.molecular_formula`), in place of
        sequences. Hydrogen counts in the Wilson plot only.

    Raises
    ------
    InputError
        If sequences or formula do not fit into the cell, or there are too few amplitudes.
    UsageError
        If copies are given with neither, or are not positive, or both are given.
    """
    if copies is not None and copies < 1:
        raise UsageError(f"`copies` is {copies}: expected a whole number from 1")
    if sequences and formula:
        raise UsageError(
            "both `sequence` and `composition` are given: a sequence has its composition already; "
            "leave one out"
        )
    notes: list[str] = []
    contents: Mapping[str, float] = PROTEIN_RESIDUE
    atoms: Mapping[str, int] = {}
    cell, group = data.cell, data.space_group
    if sequences:
        if copies is None:
            estimate = estimate_copies(cell, group, sequences)
            copies = estimate.copies
            notes.append(estimate.statement)
        check_fits(cell, group, sequences, copies)
        contents = atoms = cell_composition(group, sequences, copies)
    elif formula:
        if copies is None:
            estimate = estimate_formula_copies(cell, group, formula)
            copies = estimate.copies
            notes.append(estimate.statement)
        check_formula_fits(cell, group, formula, copies)
        images = copies * len(group.operations())
        contents = {element: images * count for element, count in formula.items()}
        atoms = {element: images * count for element, count in heavy_atoms(formula).items()}
    elif copies is not None:
        raise UsageError(
            "`copies` needs `sequence` or `composition`: without them there is nothing to count"
        )
    wilson = wilson_b(data, contents)
    b_iso = float(np.clip(wilson.b_iso, *wilson.usual_b))
    if b_iso != wilson.b_iso:
        notes.append(
            f"the Wilson plot gives a B of {wilson.b_iso:.1f} A^2; the search takes {b_iso:g}"
        )
    n_atoms = sum(atoms.values()) if atoms else None
    return CellContent(n_atoms, b_iso, tuple(sequences), copies or 1, tuple(notes), atoms)
