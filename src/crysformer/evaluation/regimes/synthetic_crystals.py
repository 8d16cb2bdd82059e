"""The crystals of the grid: the same molecules, draws of error and gaps in all of its cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crysformer.data.dataset.molecule import Molecule
from crysformer.data.dataset.recipe import FIFTEEN, Recipe
from crysformer.data.dataset.store import FragmentTable
from crysformer.data.synthetic.measurement_model import ErrorModel
from crysformer.data.synthetic.p1_crystal import packed, single
from crysformer.data.synthetic.subfragments import fitted_recipe
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, measured_crystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.regimes.controls import impose_control
from crysformer.evaluation.regimes.grid import B_RANGES, RICH_FACTOR, GridCell

#: What the draws of one crystal are for, so that none depends on another.
_CHOICE, _PACKING, _B, _MEASUREMENT, _CONTROL = range(5)


def molecule(table: FragmentTable, n_residues: int, number: int, seed: int) -> Molecule:
    """Molecule `number` of those with `n_residues` residues: the beginning of a fragment.

    Parameters
    ----------
    table
        Fragments of at least so many residues. Those of one chain overlap by no more than the
        recipe's stride allows, and shorter beginnings of them not at all.
    n_residues
        Length.
    number
        Which, from 0; all differ.
    seed
        Of the order.

    Raises
    ------
    InputError
        If the fragments are too short.
    UsageError
        If there are not so many.
    """
    if not len(table) or len(table.sequence[0]) < n_residues:
        found = f"{len(table.sequence[0])} residues" if len(table) else "none"
        raise InputError(
            f"the data set's {table.split} fragments: found {found}, {n_residues} residues are "
            "needed; build one with --recipe fifteen, or choose shorter --cells"
        )
    if number >= len(table):
        raise UsageError(f"-n: the {table.split} split holds {len(table)} fragments")
    order = np.random.default_rng((seed, _CHOICE, n_residues)).permutation(len(table))
    return table.molecule(int(order[number])).first(n_residues)


def cell_recipe(cell: GridCell, chosen: Molecule) -> Recipe:
    """How the unit cell is made: fitted, or of fixed edges."""
    fitted = fitted_recipe(cell.n_residues)
    if cell.packing == "tight":
        return fitted
    if cell.n_residues == FIFTEEN.n_residues:
        return FIFTEEN
    a, b, c = (RICH_FACTOR * edge for edge in single(chosen, fitted).cell.parameters[:3])
    return replace(fitted, fixed_cell=(a, b, c))


def grid_crystal(table: FragmentTable, cell: GridCell, number: int, seed: int) -> SyntheticCrystal:
    """Make crystal `number` of a cell of the grid.

    It depends on its arguments alone, and crystals of the same number and molecule share their
    draws, so that two cells which differ by one factor differ by nothing else.

    Parameters
    ----------
    table
        Fragments of at least `cell.n_residues` residues, of a split that nothing was trained on.
    cell
        What kind of crystal.
    number
        Which, from 0.
    seed
        Of everything.

    Raises
    ------
    InputError, UsageError
        As `molecule`.
    """

    def rng(purpose: int) -> np.random.Generator:
        return np.random.default_rng((seed, purpose, cell.n_residues, number))

    chosen = molecule(table, cell.n_residues, number, seed)
    contents = packed(chosen, cell.copies, cell_recipe(cell, chosen), rng(_PACKING))
    contents = contents.with_b(*B_RANGES[cell.b], rng(_B))
    measurement = ErrorModel(cell.amplitude_error, cell.completeness, cell.missing)
    crystal = measured_crystal(contents, cell.d_min, measurement, rng(_MEASUREMENT))
    return impose_control(crystal, cell.control, rng(_CONTROL))
