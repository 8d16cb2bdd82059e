"""Models as building begins with them."""

from __future__ import annotations

import gemmi

from crysformer.building.starting_model.plain_model import plain_model


def test_the_main_conformer_stays_and_what_is_left_out_is_named(
    deposited_2ol9: gemmi.Structure,
) -> None:
    given = deposited_2ol9.clone()
    residue = given[0]["A"][1]
    oxygen = residue.find_atom("OD1", "*")
    oxygen.altloc, oxygen.occ = "A", 0.3
    other = oxygen.clone()
    other.altloc, other.occ, other.pos = "B", 0.7, gemmi.Position(9, 9, 9)
    residue.add_atom(other)
    assert given[0].has_hydrogen()
    plain, lost = plain_model(given)
    assert lost == ["alternative conformers", "hydrogens", "anisotropic B"]
    kept = plain[0]["A"][1].find_atom("OD1", "*")
    assert kept.pos.tolist() == [9, 9, 9]
    assert (kept.altloc, kept.occ) == ("\0", 1.0)
    assert len([atom for atom in plain[0]["A"][1] if atom.name == "OD1"]) == 1
    assert not plain[0].has_hydrogen()
    assert not any(site.atom.aniso.nonzero() for site in plain[0].all())
    assert given[0].has_hydrogen()  # stays as it was
    assert plain_model(plain)[1] == []
