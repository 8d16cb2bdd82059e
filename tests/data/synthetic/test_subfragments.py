"""Windows of longer fragments, against fragments cut by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crysformer.data import FragmentStore
from crysformer.data.examples.stream import ExampleStream
from crysformer.data.synthetic.subfragments import fitted_recipe, subfragments
from crysformer.errors import InputError


@pytest.mark.parametrize("n_residues", [1, 2, 8, 15])
def test_every_stretch_once_with_its_own_atoms(fifteens: FragmentStore, n_residues: int) -> None:
    table = fifteens.table("train")
    cut = subfragments(table, n_residues)
    assert len(cut) == len(table) * (16 - n_residues)
    assert len(cut.number) == len(cut.xyz)
    for row in np.random.default_rng(0).integers(len(cut), size=20).tolist():
        i, j = divmod(row, 16 - n_residues)
        whole, part = table.molecule(i), cut.molecule(row)
        inside = (whole.residue >= j) & (whole.residue < j + n_residues)
        assert part.sequence == whole.sequence[j : j + n_residues]
        np.testing.assert_array_equal(part.xyz, whole.xyz[inside])
        np.testing.assert_array_equal(part.number, whole.number[inside])
        assert cut.cluster[row] == table.cluster[i]
        assert cut.start[row] == table.start[i] + j


def test_too_short_fragments_are_refused(dipeptides: FragmentStore) -> None:
    with pytest.raises(InputError, match="have 2 residues, 3 are needed"):
        subfragments(dipeptides.table("train"), 3)


def test_crystals_of_windows_are_those_of_dipeptides(fifteens: FragmentStore) -> None:
    recipe = fitted_recipe(2)
    stream = ExampleStream(subfragments(fifteens.table("train"), 2), recipe, 4, seed=1)
    batch = next(iter(stream))
    assert batch.residues.shape == (4, 2)
    # fitted cells: 15 to 60 A^3 an atom, and far smaller than those of 15 residues
    assert (batch.lengths.prod(dim=1) < 3000).all()
    assert float(batch.density.abs().max()) > 0
