import itertools

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.tracing.contacts import contacts_of, images_within
from crysformer.building.tracing.map_target import MapTarget
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import build_peptides

CELL = gemmi.UnitCell(9, 8, 10, 90, 95, 90)
P = build_peptides(["GA"])
XYZ = torch.as_tensor(P.xyz, dtype=torch.float32)
SHIFTED = torch.stack((XYZ, XYZ + torch.tensor([0.4, 0.2, -0.3])))


def smooth_map() -> SearchMap:
    u, v, w = torch.meshgrid(*(torch.arange(n) / n for n in (60, 54, 66)), indexing="ij")
    wave = torch.cos(6.2832 * (u + v)) + torch.sin(6.2832 * (2 * w - v))
    return SearchMap(wave, CELL, gemmi.SpaceGroup("P 1 21 1"))


def model_of(xyz: torch.Tensor) -> gemmi.Structure:
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = CELL, "P 1 21 1"
    chain, residue = gemmi.Chain("A"), gemmi.Residue()
    for place in xyz.tolist():
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "C", gemmi.Element("C"), gemmi.Position(*place)
        residue.add_atom(atom)
    chain.add_residue(residue)
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    structure.setup_cell_images()
    return structure


def test_the_gradient_is_that_of_the_score_also_of_contacts_with_mates() -> None:
    density = smooth_map()
    target = MapTarget(density, P, contacts_of(density, P, SHIFTED, 5.0, images=True))
    found = target.evaluate(SHIFTED)
    assert (found.overlap > 0).all()  # so small a cell is full
    assert found.gradient is not None
    step = 0.02
    for model in (0, 1):
        for atom in (0, 3, len(XYZ) - 1):
            for axis in range(3):
                moved = torch.zeros_like(SHIFTED)
                moved[model, atom, axis] = step
                up, down = (target.evaluate(SHIFTED + s * moved, gradient=False) for s in (1, -1))
                slope = (up.score - down.score) / (2 * step)
                assert float(slope[1 - model]) == 0
                expected = pytest.approx(float(slope[model]), rel=0.05, abs=2e-3)
                assert float(found.gradient[model, atom, axis]) == expected


def test_contacts_of_several_models_are_those_of_each_alone() -> None:
    density = smooth_map()
    strain, force = contacts_of(density, P, SHIFTED, 5.0, images=True).strain(SHIFTED)
    for i in (0, 1):
        one = SHIFTED[i : i + 1]
        alone, its_force = contacts_of(density, P, one, 5.0, images=True).strain(one)
        assert float(strain[i]) == pytest.approx(float(alone[0]), rel=1e-4)
        assert torch.allclose(force[i], its_force[0], rtol=1e-3, atol=1e-3)


def test_a_second_oxygen_without_density_has_no_contacts() -> None:
    density = smooth_map()
    oxt = P.names.index("OXT")
    rows = torch.tensor([P.names.index("O", P.names.index("O") + 1), oxt])
    pair = density.at(XYZ[rows])
    contacts = contacts_of(density, P, XYZ[None], 5.0, images=True)
    shown = bool(pair[1] > 0.5 * pair[0])
    assert bool((contacts.first == oxt).any()) == shown
    assert bool((contacts.second == oxt).any()) == shown
    turned = SearchMap(-density.values, CELL, density.space_group)
    other = contacts_of(turned, P, XYZ[None], 5.0, images=True)
    pair = turned.at(XYZ[rows])
    assert bool((other.first == oxt).any()) == bool(pair[1] > 0.5 * pair[0]) != shown


def test_images_within_reach_are_those_of_gemmi() -> None:
    structure = model_of(torch.tensor([[1.0, 2.0, 3.0]]))
    search = gemmi.NeighborSearch(structure[0], structure.cell, 8.5).populate()
    marks = search.find_atoms(gemmi.Position(1, 2, 3), "\0", radius=8.5)
    found = images_within(smooth_map(), torch.tensor([[1.0, 2.0, 3.0]]), 8.5)
    assert len(found) == len(marks) - 1  # the atom itself
    assert found


def test_pairs_with_images_are_all_that_are_near() -> None:
    density = smooth_map()
    contacts = contacts_of(density, P, XYZ[None], 4.0, images=True)
    shown = [i for i in range(len(XYZ)) if i in contacts.first.tolist()]
    assert set(range(len(XYZ))) - set(shown) <= {P.names.index("OXT")}
    frac = [CELL.fractionalize(gemmi.Position(*place)) for place in XYZ[shown].tolist()]
    expected = 0
    for operation in density.space_group.operations():
        for shift in itertools.product(range(-4, 5), repeat=3):
            if operation.triplet() == "x,y,z" and shift == (0, 0, 0):
                continue
            mates = [np.add(operation.apply_to_xyz(at.tolist()), shift) for at in frac]
            moved = [CELL.orthogonalize(gemmi.Fractional(*mate)) for mate in mates]
            expected += sum(CELL.orthogonalize(at).dist(mate) < 4 for at in frac for mate in moved)
    own = (contacts.turn == torch.eye(3)).all((1, 2)) & (contacts.shift == 0).all(1)
    assert int((~own).sum()) == expected > 0
