"""Crystals of the benchmark grid: the same molecules and random draws in all conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crysformer.data.molecule import Molecule
from crysformer.data.recipe import FIFTEEN, Recipe
from crysformer.data.store import FragmentTable
from crysformer.data.synthetic.p1_crystal import packed, single
from crysformer.data.synthetic.subfragments import fitted_recipe
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.regimes.controls import impose_control
from crysformer.evaluation.regimes.grid import B_RANGES, RICH_FACTOR, Condition
from crysformer.wording import counted

#: Purposes of the random draws of one crystal, so that none depends on another.
_CHOICE, _PACKING, _B, _MEASUREMENT, _CONTROL = range(5)


def molecule(table: FragmentTable, n_residues: int, number: int, seed: int) -> Molecule:
    """Choose molecule `number` with `n_residues` residues, the beginning of a fragment.

    Parameters
    ----------
    table
        Fragments of at least `n_residues` residues. Those of one chain overlap by no more than
        the recipe's stride allows, and shorter beginnings of them not at all.
    n_residues
        Length of the molecule.
    number
        Number of the molecule, from 0; all differ.
    seed
        Seed of the random order.

    Raises
    ------
    InputError
        If the fragments are too short.
    UsageError
        If there are fewer than `number` + 1.
    """
    if not len(table) or len(table.sequence[0]) < n_residues:
        found = f"{len(table.sequence[0])} residues" if len(table) else "none"
        raise InputError(
            f"the data set's {table.split} fragments: found {found}, {n_residues} residues are "
            "needed; build one with the recipe fifteen, or choose shorter molecules by `conditions`"
        )
    if number >= len(table):
        raise UsageError(f"`n`: the {table.split} split holds {counted(len(table), 'fragment')}")
    order = np.random.default_rng((seed, _CHOICE, n_residues)).permutation(len(table))
    return table.molecule(int(order[number])).first(n_residues)


def cell_recipe(condition: Condition, chosen: Molecule) -> Recipe:
    """Recipe of the unit cell: fitted, or of fixed edges."""
    fitted = fitted_recipe(condition.n_residues)
    if condition.cell_type == "tight":
        return fitted
    if condition.n_residues == FIFTEEN.n_residues:
        return FIFTEEN
    a, b, c = (RICH_FACTOR * edge for edge in single(chosen, fitted).cell.parameters[:3])
    return replace(fitted, fixed_cell=(a, b, c))


def grid_crystal(
    table: FragmentTable, condition: Condition, number: int, seed: int
) -> SyntheticCrystal:
    """Make crystal `number` of a condition.

    It depends on the arguments alone, and crystals of the same number and molecule share their
    random draws, so that two conditions which differ by one factor differ by nothing else.

    Parameters
    ----------
    table
        Fragments of at least `condition.n_residues` residues, of a split held out from training.
    condition
        Kind of crystal and quality of its data.
    number
        Number of the crystal, from 0.
    seed
        Seed of all random draws.

    Raises
    ------
    InputError, UsageError
        As `molecule`.
    """

    def rng(purpose: int) -> np.random.Generator:
        return np.random.default_rng((seed, purpose, condition.n_residues, number))

    chosen = molecule(table, condition.n_residues, number, seed)
    recipe = cell_recipe(condition, chosen)
    contents = packed(chosen, condition.copies, recipe, rng(_PACKING))
    contents = contents.with_b(*B_RANGES[condition.b], rng(_B))
    crystal = condition.quality.measure(contents, rng(_MEASUREMENT))
    return impose_control(crystal, condition.control, rng(_CONTROL))
