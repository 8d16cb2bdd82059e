import math

import numpy as np
import pytest
import torch

from crysformer.building.tracing.rotamer_library import rotamer_library
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.rotatable_bonds import dihedral

P = build_peptides(["ALKA"])
ROWS = {(int(r), n): i for i, (r, n) in enumerate(zip(P.residue, P.names, strict=True))}


def backbone(residue: int) -> np.ndarray:
    return P.xyz[[ROWS[residue, name] for name in ("N", "CA", "C", "O")]]


def test_side_chains_have_the_torsions_of_their_rotamers() -> None:
    library = rotamer_library("L")
    placed = library.placed(torch.as_tensor(backbone(1), dtype=torch.float32)[None])[0]
    assert placed.shape == library.xyz.shape
    n, ca, _, _ = backbone(1)
    at = {name: i for i, name in enumerate(library.names)}
    for xyz, chi in zip(placed.double().numpy(), library.chi.numpy(), strict=True):
        cb, cg, cd1 = (xyz[at[name]] for name in ("CB", "CG", "CD1"))
        found = [dihedral(np.array(a), range(4)) for a in ((n, ca, cb, cg), (ca, cb, cg, cd1))]
        away = (np.array(found) - chi + math.pi) % (2 * math.pi) - math.pi
        assert np.abs(away).max() < 0.01


def test_one_rotamer_for_each_place_is_a_row_of_all() -> None:
    library = rotamer_library("K")
    places = torch.as_tensor(np.array([backbone(1), backbone(2)]), dtype=torch.float32)
    every = library.placed(places)
    which = torch.tensor([3, 5])
    one = library.placed(places, which)
    assert one.numpy() == pytest.approx(every[[0, 1], which].numpy(), abs=1e-5)


def test_glycine_has_no_side_chain_and_d_residues_are_mirrored() -> None:
    assert rotamer_library("G").names == ()
    left, right = rotamer_library("V"), rotamer_library("V", mirrored=True)
    assert right.xyz.numpy() == pytest.approx((left.xyz * torch.tensor([1, 1, -1.0])).numpy())
    assert right.chi.numpy() == pytest.approx(-left.chi.numpy())
