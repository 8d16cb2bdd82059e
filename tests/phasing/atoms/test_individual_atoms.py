"""Structure factors and refinement of individual atoms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms import individual_atoms
from crysformer.phasing.atoms.individual_atoms import IndividualAtoms, Priors

CELL = gemmi.UnitCell(7.1, 9.3, 8.2, 90, 103, 90)
NUMBER = np.array([6, 7, 8, 16, 35, 6])
RNG = np.random.default_rng(5)
FRAC, B_ISO, OCCUPANCY = RNG.random((6, 3)), RNG.uniform(0.5, 6, 6), RNG.uniform(0.3, 1, 6)


def measured(group: str, d_min: float = 0.9) -> tuple[CrystalData, NDArray[np.complex128]]:
    """Amplitudes and structure factors of all atoms and their mates, by gemmi."""
    space_group = gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()
    structure.cell = CELL
    for x, z, b, occ in zip(FRAC, NUMBER, B_ISO, OCCUPANCY, strict=True):
        for op in space_group.operations():
            site = gemmi.SmallStructure.Site()
            site.element = gemmi.Element(int(z))
            site.fract = gemmi.Fractional(*op.apply_to_xyz(x.tolist()))
            site.occ, site.u_iso = float(occ), float(b) / (8 * math.pi**2)
            structure.add_site(site)
    hkl = gemmi.make_miller_array(CELL, space_group, d_min)
    calculator = gemmi.StructureFactorCalculatorX(CELL)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl])
    return CrystalData(CELL, space_group, hkl, np.abs(F)), F


def rows(model: IndividualAtoms, frac: NDArray[np.float64]) -> torch.Tensor:
    atoms = model.parameters(frac)
    atoms[:, 3] = torch.as_tensor(np.log(B_ISO))
    atoms[:, 4] = torch.as_tensor(OCCUPANCY)
    return atoms


@pytest.mark.parametrize("group", ["P 1", "P -1", "P 1 21 1", "C 1 2 1", "C 1 2/c 1"])
def test_structure_factors_are_those_of_all_mates(group: str) -> None:
    data, F = measured(group)
    model = IndividualAtoms(data, 2.0)
    model.set_elements(NUMBER)
    found, r = model.fitted(rows(model, FRAC))
    # centring and inversion are one factor for all, which the scale takes up
    np.testing.assert_allclose(found, F, atol=2e-3 * np.abs(F).max())
    assert r < 1e-3


@pytest.mark.parametrize("group", ["P -1", "P 1 21 1"])
def test_refinement_brings_moved_atoms_back(group: str) -> None:
    data, F = measured(group)
    model = IndividualAtoms(data, 2.0)
    model.set_elements(NUMBER)
    moved = rows(model, FRAC + 0.008 * np.random.default_rng(0).standard_normal((6, 3)))
    before = model.fitted(moved)[1]
    refined = model.refined(moved, 120, Priors(2.0, 1.0, 1.0, (0.1, 15.0)))
    found, r = model.fitted(refined)
    assert before > 0.15
    assert r < 0.03
    error = np.angle(found * F.conj())
    assert np.degrees(np.abs(error) @ np.abs(F) / np.abs(F).sum()) < 4


@pytest.mark.parametrize("group", ["P 1", "P 1 21 1", "C 1 2/c 1"])
@pytest.mark.parametrize("at_once", [300_000, 300])
def test_gradient_is_that_of_finite_differences(
    group: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = measured(group, 1.6)
    monkeypatch.setattr(individual_atoms, "_PAIRS_AT_ONCE", at_once)  # several parts
    monkeypatch.setattr(individual_atoms, "_PAIRS_KEPT", 2 * at_once)  # not all of them kept
    site = {"P 1": 0.3, "P 1 21 1": 0.3, "C 1 2/c 1": 0.0}[group]  # on the two-fold axis
    frac = np.vstack(([site, 0.23, 0.25], FRAC[1:]))
    frac[3, 0] = 0.7  # away from the axis
    model = IndividualAtoms(data, 2.0, special=True)
    model.set_elements(NUMBER)
    atoms = rows(model, frac)
    assert model.site_order(atoms).tolist() == [2 if group == "C 1 2/c 1" else 1, 1, 1, 1, 1, 1]

    def misfit(values: NDArray[np.float64]) -> float:
        moved = values.reshape(6, 5)[:, :3] @ data.to_frac.T
        structure = gemmi.SmallStructure()
        structure.cell, structure.spacegroup = CELL, data.space_group
        for i, (x, z) in enumerate(zip(moved, NUMBER, strict=True)):
            atom = gemmi.SmallStructure.Site()
            on_axis = i == 0 and group == "C 1 2/c 1"
            atom.element = gemmi.Element(int(z))
            atom.fract = gemmi.Fractional(*((0.0, x[1], 0.25) if on_axis else x))
            atom.occ = values[5 * i + 4] / (2 if on_axis else 1)
            atom.u_iso = math.exp(values[5 * i + 3]) / (8 * math.pi**2)
            structure.add_site(atom)
        structure.setup_cell_images()
        calculator = gemmi.StructureFactorCalculatorX(structure.cell)
        F = [calculator.calculate_sf_from_small_structure(structure, h) for h in data.hkl]
        modulus = np.abs(F)
        k = data.f @ modulus / (modulus @ modulus)
        return len(data) * math.log(((data.f - k * modulus) ** 2).sum())

    at = atoms.double().numpy().ravel()
    found = model._misfit_gradient(atoms, model._sites(atoms)).double().numpy().ravel()
    steps = 1e-5 * np.eye(len(at))  # small: |F| has a kink at zero
    expected = np.array([(misfit(at + h) - misfit(at - h)) / 2e-5 for h in steps])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_whole_atoms_keep_their_occupancy() -> None:
    data, _ = measured("P 1")
    model = IndividualAtoms(data, 2.0)
    whole = torch.tensor([True, False] * 3)
    atoms = rows(model, FRAC)
    refined = model.refined(atoms, 10, Priors(2.0, 1.0, 0.5, (0.1, 15.0)), whole)
    changed = (refined[:, 4] != atoms[:, 4]).tolist()
    assert changed == (~whole).tolist()


def test_b_may_be_as_low_as_in_cold_crystals_at_atomic_resolution(
    make_crystal: Callable[..., Any],
) -> None:
    for d_min, least in ((0.8, 0.3), (1.6, 1.5)):
        data = make_crystal(CELL, "P 1", FRAC, NUMBER, b_iso=0.4, d_min=d_min).data
        model = IndividualAtoms(replace(data, sigf=None), 2.0)
        atoms = model.refined(model.parameters(FRAC), 60, Priors(0.5, 5.0, 5.0, (0.1, 15.0)))
        assert float(atoms[:, 3].exp().min()) == pytest.approx(least, rel=0.4)
        assert float(atoms[:, 3].exp().min()) >= least * 0.999


SPECIAL = {
    "P -1": ((0.5, 0.0, 0.5), 2),
    "C 1 2/c 1": ((0.0, 0.23, 0.25), 2),
    "C 1 2/m 1": ((0.0, 0.5, 0.0), 4),
}


@pytest.mark.parametrize("group", SPECIAL)
def test_an_atom_on_a_special_position_is_found_there_counted_once_and_refined(group: str) -> None:
    (site, order), space_group = SPECIAL[group], gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()
    structure.cell, structure.spacegroup = CELL, space_group
    frac = np.array([site, (0.21, 0.13, 0.37), (0.35, 0.3, 0.08)])
    for x, z, occ in zip(frac, (16, 6, 8), (1 / order, 1.0, 1.0), strict=True):
        atom = gemmi.SmallStructure.Site()
        atom.element, atom.fract = gemmi.Element(z), gemmi.Fractional(*x)
        atom.occ, atom.u_iso = occ, 2.0 / (8 * math.pi**2)
        structure.add_site(atom)
    structure.setup_cell_images()
    hkl = gemmi.make_miller_array(CELL, space_group, 0.8)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl])
    data = CrystalData(CELL, space_group, hkl, np.abs(F))

    blind = IndividualAtoms(data, 2.0)
    nothing = blind.parameters(np.zeros((0, 3)))
    above = 0.3 * float(blind.peaks(nothing, F, 1, 0.0)[1][0])
    found = blind.frac(blind.peaks(nothing, F, 3, above)[0])
    assert (blind.picker.distance(found - site) > 0.5).all()  # half of the least separation

    model = IndividualAtoms(data, 2.0, special=True)
    atoms, heights = model.peaks(nothing, F, 3, above)
    assert len(atoms) == 3
    assert heights[0] > 1.5 * heights[1]
    assert model.site_order(atoms).tolist() == [order, 1, 1]
    mates = model.picker.mates(np.array([site]))
    assert model.picker.distance(mates - model.frac(atoms)[0]).min() < 0.1

    model.set_elements(np.array([16, *([8, 6] if heights[1] == heights[1:].max() else [6, 8])]))
    atoms[0, :3] += 0.1  # it goes back
    refined = model.refined(atoms, 150, Priors(2.0, 1.0, 1.0, (0.1, 15.0)))
    np.testing.assert_allclose(refined[:, 4] / refined[0, 4], 1.0, atol=0.03)
    assert model.picker.distance(mates - model.frac(refined)[0]).min() < 0.01
    assert model.fitted(refined)[1] < 0.02
