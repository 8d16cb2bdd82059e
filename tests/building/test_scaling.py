from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crysformer.building import model_structure_factors
from crysformer.building.model_structure_factors import (
    atomic_structure_factors,
    in_crystal,
    mask_structure_factors,
)
from crysformer.building.scaling import ScalingSettings, scale_model
from crysformer.crystal.free_set import FreeSet, free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.testing import sample


def loose_crystal(d_min: float = 1.8) -> tuple[gemmi.Structure, CrystalData]:
    """The peptide of 5E5Z alone in a monoclinic cell with plenty of solvent; no amplitudes yet."""
    structure = gemmi.read_structure(str(sample("5e5z").model_path))
    structure.remove_waters()
    cell, group = gemmi.UnitCell(26, 22, 31, 90, 101, 90), gemmi.SpaceGroup("P 1 21 1")
    for cra in structure[0].all():
        cra.atom.b_iso, cra.atom.aniso = cra.atom.b_iso + 8.0, gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    hkl = gemmi.make_miller_array(cell, group, d_min).astype(np.int32)
    data = CrystalData(cell, group, hkl, np.ones(len(hkl)), source="test")
    return in_crystal(structure, data), data


def raised(structure: gemmi.Structure, b: float) -> gemmi.Structure:
    copy = structure.clone()
    for cra in copy[0].all():
        cra.atom.b_iso += b
        if cra.atom.aniso.nonzero():
            cra.atom.aniso = cra.atom.aniso.added_kI(b / (8 * np.pi**2))
    return copy


def scaled_by(data: CrystalData, F: np.ndarray, k: float, u: tuple[float, ...]) -> np.ndarray:
    """|F| times k exp(-2 pi^2 s.U.s) with the elements U11, U22, U33, U12, U13, U23."""
    x, y, z = data.scattering_vectors.T
    products = (x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z)
    exponent = sum(a * b for a, b in zip(u, products, strict=True))
    return np.asarray(k * np.exp(-2 * np.pi**2 * exponent) * np.abs(F))


def r(data: CrystalData, F: np.ndarray) -> float:
    used = data.measured
    return float(np.abs(data.f - np.abs(F))[used].sum() / data.f[used].sum())


def test_all_parts_of_the_scale_are_recovered() -> None:
    structure, data = loose_crystal()
    F_mask, fraction = mask_structure_factors(structure, data)
    assert 0.5 < fraction < 0.95
    solvent = 0.35 * np.exp(-0.25 * 46 * data.d**-2.0) * F_mask
    F = atomic_structure_factors(structure, data) + solvent
    u = (0.05, -0.02, -0.03, 0.0, 0.01, 0.0)
    data = replace(data, f=scaled_by(data, F, 3.0, u))
    scaled = scale_model(raised(structure, 7.0), data)
    assert r(data, scaled.F_model) < 1e-3
    assert scaled.b_shift == pytest.approx(-7.0, abs=0.05)
    assert scaled.b_rest == pytest.approx(0.0, abs=0.02)
    assert scaled.k_overall == pytest.approx(3.0, rel=0.01)
    assert scaled.k_sol == pytest.approx(0.35, abs=0.01)
    assert scaled.b_sol == pytest.approx(46, abs=2)
    assert scaled.u_aniso.elements_pdb() == pytest.approx(list(u), abs=1e-3)


@settings(deadline=None, max_examples=10)
@given(st.floats(-5, 60))
def test_b_of_the_model_does_not_matter(b: float) -> None:
    data = read_crystal(sample("5e5z").data_path)
    structure = gemmi.read_structure(str(sample("5e5z").model_path))
    structure = raised(structure, 20.0)
    expected = scale_model(structure, data)
    scaled = scale_model(raised(structure, b), data)
    assert scaled.mean_b == pytest.approx(expected.mean_b, abs=0.1)
    assert scaled.F_model == pytest.approx(expected.F_model, rel=0.01, abs=0.2)


def test_tensor_is_traceless_and_of_the_point_group() -> None:
    data = read_crystal(sample("5e5z").data_path)
    scaled = scale_model(gemmi.read_structure(str(sample("5e5z").model_path)), data)
    u = scaled.u_aniso
    assert u.trace() == pytest.approx(0, abs=1e-9)
    assert (u.u12, u.u23) == pytest.approx((0, 0), abs=1e-9)
    assert max(abs(u.u11), abs(u.u13)) > 1e-3


def test_measured_crystal_agrees_with_gemmi_scaling() -> None:
    data = read_crystal(sample("5e5z").data_path)
    structure = gemmi.read_structure(str(sample("5e5z").model_path))
    used = data.measured
    model = in_crystal(structure, data)
    F, mask = atomic_structure_factors(model, data), mask_structure_factors(model, data)[0]
    hkl = np.ascontiguousarray(data.hkl[used])
    asu = [
        gemmi.ComplexAsuData(data.cell, data.space_group, hkl, x[used].astype(np.complex64))
        for x in (F, mask)
    ]
    values = np.column_stack([data.f[used], np.ones(used.sum())]).astype(np.float32)
    observed = gemmi.ValueSigmaAsuData(data.cell, data.space_group, hkl, values)
    scaling = gemmi.Scaling(data.cell, data.space_group)
    scaling.use_solvent = True
    scaling.prepare_points(asu[0], observed, asu[1])
    scaling.fit_isotropic_b_approximately()
    scaling.fit_parameters()
    scaled = scale_model(structure, data)
    assert r(data, scaled.F_model) == pytest.approx(scaling.calculate_r_factor(), abs=5e-4)
    # deposited: 0.170 of all reflections
    assert r(data, scaled.F_model) < 0.18
    total = scaled.b_rest + scaled.b_shift
    assert total == pytest.approx(scaling.b_overall.trace() / 3, abs=0.1)


def test_solvent_stays_within_its_limits() -> None:
    structure, data = loose_crystal()
    F_mask = mask_structure_factors(structure, data)[0]
    F = atomic_structure_factors(structure, data)
    F = F + 1.5 * np.exp(-0.25 * 300 * data.d**-2.0) * F_mask
    data = replace(data, f=np.abs(F))
    scaled = scale_model(structure, data)
    limits = ScalingSettings()
    assert 0 <= scaled.k_sol <= limits.max_k_sol
    assert limits.min_b_sol <= scaled.b_sol <= limits.max_b_sol
    # against the trend of such solvent: it does not act as a negative B
    assert abs(scaled.b_shift) < 2


@pytest.mark.parametrize(
    ("b_sol", "told"), [(300, "its B at the largest value allowed, 200 A^2"), (50, "")]
)
def test_a_parameter_of_the_solvent_at_its_limit_is_told(b_sol: float, told: str) -> None:
    structure, data = loose_crystal()
    F_mask = mask_structure_factors(structure, data)[0]
    F = atomic_structure_factors(structure, data)
    F = F + 0.4 * np.exp(-0.25 * b_sol * data.d**-2.0) * F_mask
    assert scale_model(structure, replace(data, f=np.abs(F))).at_limit == told


def test_cell_without_room_has_no_solvent() -> None:
    data = read_crystal(sample("gf").data_path)
    scaled = scale_model(
        gemmi.read_structure(str(sample("gf").model_path)),
        data,
        settings=ScalingSettings(least_solvent=0.999),
    )
    assert scaled.k_sol == 0


def test_a_singular_fit_of_the_solvent_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    structure, data = loose_crystal()
    F = atomic_structure_factors(structure, data)
    data = replace(data, f=2 * np.abs(F))
    singular = []

    class Singular(gemmi.Scaling):  # as gemmi is where its start has no solvent
        def fit_parameters(self) -> float:
            if not self.use_solvent:
                return float(super().fit_parameters())
            singular.append(True)
            raise RuntimeError("Trying to reverse singular matrix. Column 8 is zeroed.")

    monkeypatch.setattr(gemmi, "Scaling", Singular)
    scaled = scale_model(structure, data, free_set(data))
    assert singular
    assert r(data, scaled.F_model) < 0.01


def test_least_b_is_kept_and_the_rest_said() -> None:
    structure, data = loose_crystal()
    data = replace(data, f=np.abs(atomic_structure_factors(structure, data)))
    blurred = structure.clone()
    for cra in blurred[0].all():
        cra.atom.b_iso = 1.0
    sharp = replace(data, f=data.f * np.exp(0.25 * 30 * data.d**-2.0))
    scaled = scale_model(blurred, sharp)
    assert min(cra.atom.b_iso for cra in scaled.structure[0].all()) == pytest.approx(0.5)
    assert scaled.b_rest < -5


@pytest.mark.parametrize("radiation", ["xray", "electron"])
def test_transform_equals_direct_summation(radiation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    structure, data = loose_crystal(d_min=2.5)
    data = replace(data, radiation=radiation)  # type: ignore[arg-type]
    atoms = [cra.atom for cra in structure[0].all()]
    atoms[0].occ, atoms[1].element = 0.4, gemmi.Element("H")
    atoms[2].aniso = gemmi.SMat33f(0.3, 0.2, 0.1, 0.02, 0.05, 0.01)
    direct = atomic_structure_factors(structure, data)
    monkeypatch.setattr(model_structure_factors, "_DIRECT", 0)
    transformed = atomic_structure_factors(structure, data)
    assert np.abs(transformed - direct).sum() < 1e-3 * np.abs(direct).sum()


def test_electrons_scatter_by_their_own_factors() -> None:
    structure, data = loose_crystal(d_min=3.0)
    xray = atomic_structure_factors(structure, data)
    electron = atomic_structure_factors(structure, replace(data, radiation="electron"))
    assert np.corrcoef(np.abs(xray), np.abs(electron))[0, 1] < 0.999
    assert np.abs(electron).sum() < 0.6 * np.abs(xray).sum()


def test_free_reflections_do_not_count() -> None:
    data = read_crystal(sample("5e5z").data_path)
    structure = gemmi.read_structure(str(sample("5e5z").model_path))
    chosen = free_set(data)
    spoiled = replace(data, f=np.where(chosen.free, 10 * data.f, data.f))
    one, other = scale_model(structure, data, chosen), scale_model(structure, spoiled, chosen)
    assert (one.F_model == other.F_model).all()


def test_unusable_input_is_one_clear_error() -> None:
    data = read_crystal(sample("5e5z").data_path)
    with pytest.raises(InputError, match="no atoms"):
        scale_model(gemmi.Structure(), data)
    structure = gemmi.read_structure(str(sample("5e5z").model_path))
    everything = replace(FreeSet.empty(len(data)), free=np.ones(len(data), dtype=bool))
    with pytest.raises(InputError, match="no working reflection"):
        scale_model(structure, data, everything)


@pytest.mark.parametrize(
    ("name", "least", "most", "b"),
    [("1yjp", 0.181, 0.186, 0.3), ("2ol9", 0.055, 0.058, 0.1), ("5awl", 0.10, 0.112, 0.1)],
)
def test_deposited_models(name: str, least: float, most: float, b: float, shared_dir: Path) -> None:
    """R factors of the deposited entries: 1YJP 0.181, 2OL9 0.055; overall B near zero."""
    if name == "1yjp":
        structure = gemmi.read_structure(str(shared_dir / "experimental/1yjp.cif.gz"))
        path, cell = shared_dir / "experimental/1yjp-sf.cif.gz", structure.cell
        data = read_crystal(path, cell=cell, space_group=structure.spacegroup_hm)
    else:
        structure = gemmi.read_structure(str(shared_dir / f"peptides/{name}.pdb.gz"))
        data = read_crystal(shared_dir / f"peptides/{name}.mtz")
    scaled = scale_model(structure, data)
    assert least < r(data, scaled.F_model) < most
    assert abs(scaled.b_shift + scaled.b_rest) < b
