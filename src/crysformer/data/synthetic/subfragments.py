"""Subfragments: shorter fragments cut from longer ones, so that one data set serves all lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crysformer.data.recipe import DIPEPTIDE, Recipe
from crysformer.data.store import FragmentTable
from crysformer.errors import InputError
from crysformer.peptide import residues


def subfragments(table: FragmentTable, n_residues: int) -> FragmentTable:
    """Cut every run of `n_residues` adjacent residues out of every fragment.

    Subfragments keep the split, entry and cluster of their fragment, so that validation and test
    stay held out from training.

    Parameters
    ----------
    table
        Fragments of one length.
    n_residues
        Length of the subfragments.

    Returns
    -------
    FragmentTable
        Ids end in ``+`` and the first residue's position in the fragment. The cells are NaN: they
        are built by the recipe when the crystals are made.

    Raises
    ------
    InputError
        If the fragments are shorter.
    """
    length = table.codes.shape[1] if len(table) else 0
    if not 1 <= n_residues <= length:
        raise InputError(
            f"the {table.split} fragments have {length} residues, {n_residues} are needed; build "
            "a data set of longer ones"
        )
    per_fragment = length - n_residues + 1
    # first atom of every residue, fragment after fragment, and one past the last
    counts = residues.N_ATOMS[table.codes.ravel()]
    first_atom = np.concatenate(([0], np.cumsum(counts)))
    first = (np.arange(len(table))[:, None] * length + np.arange(per_fragment)).ravel()
    begin, end = first_atom[first], first_atom[first + n_residues]
    offset = np.concatenate(([0], np.cumsum(end - begin))).astype(np.int64)
    rows = np.repeat(begin - offset[:-1], end - begin) + np.arange(offset[-1])
    fragment = np.repeat(np.arange(len(table)), per_fragment)
    place = np.tile(np.arange(per_fragment), len(table))
    pairs = list(zip(fragment.tolist(), place.tolist(), strict=True))
    return replace(
        table,
        xyz=table.xyz[rows],
        offset=offset,
        sequence=[table.sequence[i][j : j + n_residues] for i, j in pairs],
        id=[f"{table.id[i]}+{j}" for i, j in pairs],
        entry=[table.entry[i] for i in fragment],
        chain=[table.chain[i] for i in fragment],
        cluster=[table.cluster[i] for i in fragment],
        start=(table.start[fragment] + place).astype(np.int32),
        cell=np.full((len(pairs), 3), np.nan, dtype=np.float32),
    )


def fitted_recipe(n_residues: int) -> Recipe:
    """Recipe with cells fitted to the molecule, as for dipeptides, for another length."""
    return replace(DIPEPTIDE, n_residues=n_residues)
