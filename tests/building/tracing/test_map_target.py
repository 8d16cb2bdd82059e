import gemmi
import pytest
import torch

from crysformer.building.tracing.map_target import MapTarget, images_within
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import build_peptides

CELL = gemmi.UnitCell(9, 8, 10, 90, 95, 90)
P = build_peptides(["GA"])


def smooth_map() -> SearchMap:
    u, v, w = torch.meshgrid(*(torch.arange(n) / n for n in (60, 54, 66)), indexing="ij")
    wave = torch.cos(6.2832 * (u + v)) + torch.sin(6.2832 * (2 * w - v))
    return SearchMap(wave, CELL, gemmi.SpaceGroup("P 1 21 1"))


def test_the_gradient_is_that_of_the_score_also_of_contacts_with_mates() -> None:
    xyz = torch.as_tensor(P.xyz, dtype=torch.float32)
    target = MapTarget(smooth_map(), P, xyz)
    assert target.images
    found = target.evaluate(xyz[None])
    assert float(found.overlap) > 0  # so small a cell is full
    assert found.gradient is not None
    step = 0.02
    for atom in (0, 3, len(xyz) - 1):
        for axis in range(3):
            moved = torch.zeros_like(xyz)
            moved[atom, axis] = step
            up, down = (target.evaluate((xyz + s * moved)[None], gradient=False) for s in (1, -1))
            slope = float((up.score - down.score) / (2 * step))
            assert float(found.gradient[0, atom, axis]) == pytest.approx(slope, rel=0.05, abs=2e-3)


def test_images_within_reach_are_those_of_gemmi() -> None:
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = CELL, "P 1 21 1"
    chain, residue = gemmi.Chain("A"), gemmi.Residue()
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos = "C", gemmi.Element("C"), gemmi.Position(1, 2, 3)
    residue.add_atom(atom)
    chain.add_residue(residue)
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    structure.setup_cell_images()
    search = gemmi.NeighborSearch(structure[0], structure.cell, 8.5).populate()
    marks = search.find_atoms(atom.pos, "\0", radius=8.5)
    found = images_within(smooth_map(), torch.tensor([[1.0, 2.0, 3.0]]), 8.5)
    assert len(found) == len(marks) - 1  # the atom itself
    assert found
