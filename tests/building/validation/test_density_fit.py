"""Map correlation and difference peaks of a measured crystal, right and wrong models."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

from crysformer.building.map_coefficients import map_coefficients
from crysformer.building.r_factors import r_factors
from crysformer.building.scaling import scale_model
from crysformer.building.validation.density_fit import _described, map_of
from crysformer.building.validation.settings import ValidationSettings
from crysformer.building.validation.validation import Validation, validate
from crysformer.settings import to_toml, updated


def validated(structure: gemmi.Structure, model: SimpleNamespace) -> Validation:
    scaled = scale_model(structure, model.data, model.free)
    maps = map_coefficients(model.data, model.free, scaled.F_model)
    r = r_factors(model.data, model.free, scaled.F_model)
    return validate(structure, model.data, scaled, maps, r)


def test_the_deposited_model_fits_everywhere(
    finished_2ol9: SimpleNamespace, deposited_2ol9: gemmi.Structure
) -> None:
    found = validated(deposited_2ol9, finished_2ol9)
    assert len(found.residues) == sum(len(chain) for chain in deposited_2ol9[0])
    assert min(fit.correlation for fit in found.residues) > 0.95
    b = np.mean([a.b_iso for a in deposited_2ol9[0][0][0] if not a.is_hydrogen()])
    assert found.residues[0].b_mean == pytest.approx(b)


def test_a_displaced_side_chain_has_low_correlation_and_peaks(
    finished_2ol9: SimpleNamespace, deposited_2ol9: gemmi.Structure
) -> None:
    wrong = deposited_2ol9.clone()
    ring = wrong[0]["A"][5]
    assert ring.name == "PHE"
    for atom in ring:
        if atom.name not in ("N", "CA", "C", "O", "CB", "H", "HA", "OXT"):
            atom.pos.x += 2.0
    found = validated(wrong, finished_2ol9)
    worst = min(found.residues, key=lambda fit: fit.correlation)
    assert worst.site.name == "PHE"
    assert worst.correlation < 0.85
    assert min(fit.correlation for fit in found.residues if fit is not worst) > 0.9
    summary = replace(found, settings=ValidationSettings(low_correlation=0.85)).to_summary()
    assert [fit["name"] for fit in summary["map_correlation"]["low"]] == ["PHE"]
    assert summary["map_correlation"]["waters"]["n"] == 5
    assert summary["map_correlation"]["least"] == round(worst.correlation, 3)
    near = [peak for peak in found.peaks if peak.site.name == "PHE"]
    assert near[0].height > 8  # the density that the ring has left
    assert any(peak.height < -4 for peak in near)  # where it has been put


def test_a_missing_water_is_the_highest_peak_and_is_put_beside_its_neighbours(
    finished_2ol9: SimpleNamespace, deposited_2ol9: gemmi.Structure
) -> None:
    dry = deposited_2ol9.clone()
    waters = [residue for residue in dry[0]["A"] if residue.name == "HOH"]
    missing = gemmi.Position(*waters[0]["O"][0].pos.tolist())
    number = str(waters[0].seqid)
    rows = [i for i, residue in enumerate(dry[0]["A"]) if str(residue.seqid) == number]
    del dry[0]["A"][rows[0]]
    highest = validated(dry, finished_2ol9).peaks[0]
    assert highest.height > 8
    image = dry.cell.find_nearest_image(missing, gemmi.Position(*highest.xyz), gemmi.Asu.Any)
    assert image.dist() < 0.3
    frac = dry.cell.fractionalize(gemmi.Position(*highest.xyz))
    assert highest.frac == pytest.approx(frac.tolist())
    # the distance is that to the named atom or to a mate of it, here in P1
    residue = next(r for r in dry[0]["A"] if str(r.seqid) == highest.site.residue)
    atom = next(a for a in residue if a.name == highest.atom)
    near = dry.cell.find_nearest_image(atom.pos, gemmi.Position(*highest.xyz), gemmi.Asu.Any)
    assert near.dist() == pytest.approx(highest.distance, abs=1e-3)
    assert atom.pos.dist(gemmi.Position(*highest.xyz)) == pytest.approx(highest.distance, abs=1e-3)


def test_a_peak_is_moved_beside_its_atom_across_symmetry() -> None:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(20, 22, 24, 90, 100, 90)
    structure.spacegroup_hm = "P 1 21 1"
    structure.add_model(gemmi.Model(1))
    residue = gemmi.Residue()
    residue.name, residue.seqid = "HOH", gemmi.SeqId("1")
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos = "O", gemmi.Element("O"), gemmi.Position(3, 4, 5)
    residue.add_atom(atom)
    structure[0].add_chain(gemmi.Chain("W")).add_residue(residue)
    structure.setup_cell_images()
    neighbours = gemmi.NeighborSearch(structure[0], structure.cell, 5.0).populate()
    beside = structure.cell.fractionalize(gemmi.Position(3.6, 4.8, 5.0))
    mate = gemmi.Op("-x,y+1/2,-z").apply_to_xyz(beside.tolist())
    for shift in ((0, 0, 0), (1, -2, 3)):
        peak = _described(np.array(mate) + shift, 5.0, structure, neighbours)
        assert peak is not None
        assert peak.distance == pytest.approx(1.0, abs=1e-5)
        assert peak.xyz == pytest.approx((3.6, 4.8, 5.0), abs=1e-5)


def test_the_map_is_the_fourier_series(finished_2ol9: SimpleNamespace) -> None:
    data = finished_2ol9.data
    grid = map_of(data, finished_2ol9.scaled.F_model)
    # in P1 the value at the origin is 2 sum Re F / V
    F = finished_2ol9.scaled.F_model
    expected = 2 * F.real.sum() / data.cell.volume
    assert grid.get_value(0, 0, 0) == pytest.approx(expected, rel=1e-4)


def test_summary_is_plain_and_complete(
    finished_2ol9: SimpleNamespace, deposited_2ol9: gemmi.Structure
) -> None:
    found = validated(deposited_2ol9, finished_2ol9)
    summary = found.to_summary()
    json.dumps(summary, allow_nan=False)
    assert set(summary) == {
        "bonds", "angles", "without_ideal_values", "wrong_hands", "omega", "ramachandran",
        "rotamers", "clashes", "map_correlation", "difference_peaks", "shells",
    }  # fmt: skip
    assert summary["shells"] == found.r.to_summary()["shells"]
    plot = summary["ramachandran"]
    assert plot["favoured"] + plot["allowed"] + plot["outlier"] == plot["n"] == 4
    coordinates = validate(deposited_2ol9).to_summary()
    assert set(summary) - set(coordinates) == {"map_correlation", "difference_peaks", "shells"}
    assert coordinates["bonds"] == summary["bonds"]
    assert "Ramachandran 4 favoured" in found.text()


def test_settings_are_written_and_checked() -> None:
    assert "peak_sigma" in to_toml(ValidationSettings())
    changed = updated(ValidationSettings(), {"clash_overlap": 0.6})
    assert changed.clash_overlap == 0.6
