"""Random poses: allowed conformations anywhere in the cell."""

import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.phasing.sequence_search.random_poses import random_poses, random_torsions

CELL = torch.diag(torch.tensor([10.0, 8.0, 7.0]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_backbones_lie_in_the_allowed_regions() -> None:
    peptides = build_peptides(("AAAAA",))
    torsions = torch.rad2deg(random_torsions(peptides, 400, generator())).remainder(360)
    kinds = [t.kind for t in peptides.torsions]
    phi = torsions[:, [i for i, kind in enumerate(kinds) if kind == "phi"]]
    omega = torsions[:, [i for i, kind in enumerate(kinds) if kind == "omega"]]
    assert ((phi > 180) & (phi < 330)).float().mean() > 0.9  # L residues have negative phi
    assert (omega - 180).abs().max() < 30
    # strands and helices as wholes are among them
    helical = ((phi > 250) & (phi < 340)).all(1)
    assert helical.float().mean() > 0.05


def test_poses_are_reproducible_and_fill_the_cell() -> None:
    peptides = build_peptides(("AS", "G"))
    first, again = (random_poses(peptides, 200, CELL, generator(4)) for _ in range(2))
    for a, b in zip(first.parts, again.parts, strict=True):
        torch.testing.assert_close(a, b)
    place = first.translation / torch.tensor([10.0, 8.0, 7.0])
    assert place.min() >= 0
    assert place.max() < 1
    assert (place.mean((0, 1)) - 0.5).abs().max() < 0.1
    turned = first.rotation @ first.rotation.mT
    torch.testing.assert_close(turned, torch.eye(3).expand_as(turned), atol=1e-5, rtol=0)
