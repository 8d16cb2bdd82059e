"""The residue tables against gemmi's own."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.peptide import residues


@pytest.mark.parametrize("name", residues.NAMES)
def test_formula_weight_is_gemmis(name: str) -> None:
    info = gemmi.find_tabulated_residue(name)
    numbers = residues.NUMBERS[residues.INDEX[name]].astype(int)
    heavy = residues.MASSES[numbers].sum() + gemmi.Element("O").weight  # OXT of the free residue
    hydrogens = (info.weight - heavy) / gemmi.Element("H").weight
    assert hydrogens == pytest.approx(info.hydrogen_count, abs=0.05)


def test_letters_and_names_are_in_one_order() -> None:
    assert gemmi.one_letter_code(list(residues.NAMES)) == residues.CODES


def test_padding_is_beyond_the_last_atom() -> None:
    assert np.array_equal((residues.NUMBERS > 0).sum(axis=1), residues.N_ATOMS)
    assert residues.N_ATOMS[residues.INDEX["TRP"]] == residues.MAX_ATOMS == 14


def test_sequence_names_its_atoms() -> None:
    assert residues.atom_names("GA") == ["N", "CA", "C", "O", "N", "CA", "C", "O", "CB"]
    assert residues.encode("AV").tolist() == [0, 19]
    with pytest.raises(ValueError, match="substring not found"):
        residues.encode("AX")
