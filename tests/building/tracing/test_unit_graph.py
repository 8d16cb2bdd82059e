import gemmi
import torch

from crysformer.building.tracing.growing import GrownChains
from crysformer.building.tracing.peptide_units import peptide_unit
from crysformer.building.tracing.search_map import SearchMap
from crysformer.building.tracing.unit_graph import Placement, coinciding, unit_graph
from crysformer.peptide.rotations import random_rotations

CELL = gemmi.UnitCell(21, 17, 24, 90, 100, 90)
MAP = SearchMap(torch.randn(16, 16, 16), CELL, gemmi.SpaceGroup("P 1 21 1"))


def mate(xyz: torch.Tensor, number: int, lattice: tuple[int, int, int]) -> torch.Tensor:
    rotations, translations = MAP.mates
    frac = xyz @ MAP.to_frac.mT @ rotations[number].mT + translations[number]
    return (frac + torch.tensor(lattice)) @ MAP.orth.mT


def units(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    turned = (random_rotations(n, generator) @ peptide_unit().mT).mT
    return turned + 12 * torch.rand(n, 1, 3, generator=generator)


def test_mates_and_images_are_one_vertex() -> None:
    some = units(3)
    every = torch.cat((some, mate(some, 1, (2, -1, 0)), mate(some, 0, (0, 1, -3))))
    every = every + 0.02 * torch.randn(every.shape, generator=torch.Generator().manual_seed(0))
    group, place, first = coinciding(MAP, every)
    assert group.tolist() == [0, 1, 2] * 3
    assert len(first) == 3
    assert float((place.apply(every) - first[group]).norm(dim=2).max()) < 0.2


def test_chains_of_two_seeds_meet() -> None:
    line = units(4)
    # the second seed is the mate of the first one's second unit, and grows on from there
    moved = mate(line, 1, (1, 0, 0))
    forward = GrownChains(torch.stack((line[:3], moved[1:4]))[:, None], torch.zeros(2, 1, 2))
    backward = GrownChains(torch.stack((line[:1], moved[1:2]))[:, None], torch.zeros(2, 1, 0))
    graph = unit_graph(MAP, forward, backward)
    assert len(graph.unit) == 4
    assert graph.before.tolist() == [0, 1, 1, 2]
    assert graph.after.tolist() == [1, 2, 2, 3]
    # residues 1 and 2 are the same one, each seen from its own chain
    ours = graph.to_before[1:2].apply(graph.backbone[1:2])
    theirs = graph.to_before[2:3].apply(graph.backbone[2:3])
    assert float((ours - theirs).norm(dim=2).max()) < 1e-3


def test_placements_are_undone_by_their_inverse() -> None:
    generator = torch.Generator().manual_seed(5)
    place = Placement(random_rotations(4, generator), torch.randn(4, 3, generator=generator))
    xyz = torch.randn(4, 5, 3, generator=generator)
    back = place.inverse().after(place).apply(xyz)
    assert float((back - xyz).abs().max()) < 1e-5
