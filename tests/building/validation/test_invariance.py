"""Validation does not depend on where the model is and how it is turned."""

from __future__ import annotations

from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

from crysformer.building.validation.density_fit import residue_fits
from crysformer.building.validation.validation import validate


@pytest.mark.parametrize("seed", range(3))
def test_rigid_motion_changes_nothing(helix: gemmi.Structure, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotation, triangle = np.linalg.qr(rng.standard_normal((3, 3)))
    rotation = rotation * np.sign(np.diag(triangle))
    rotation[:, 0] *= np.linalg.det(rotation)
    moved = helix.clone()
    moved.cell = gemmi.UnitCell()  # no crystal, so no mates
    still = moved.clone()
    shift = rng.uniform(-50, 50, 3)
    for site in moved[0].all():
        site.atom.pos = gemmi.Position(*(rotation @ site.atom.pos.tolist() + shift))
    before, after = validate(still).to_summary(), validate(moved).to_summary()
    for key in ("bonds", "angles"):
        assert after[key]["rms"] == pytest.approx(before[key]["rms"], abs=2e-3)
    for key in ("ramachandran", "rotamers"):
        assert [after[key][k] for k in ("n", "favoured", "allowed", "outlier")] == [
            before[key][k] for k in ("n", "favoured", "allowed", "outlier")
        ]
    assert after["omega"] == before["omega"]
    assert after["clashes"]["n"] == before["clashes"]["n"]
    assert after["wrong_hands"] == before["wrong_hands"] == []


def test_a_lattice_translation_changes_no_correlation(
    finished_2ol9: SimpleNamespace, deposited_2ol9: gemmi.Structure
) -> None:
    maps = finished_2ol9.coefficients
    density = maps.fwt * np.exp(1j * np.radians(maps.phwt))
    F = finished_2ol9.scaled.F_calc
    moved = deposited_2ol9.clone()
    shift = moved.cell.orthogonalize(gemmi.Fractional(2, -1, 3))
    for site in moved[0].all():
        site.atom.pos += shift
    plain, other = (
        residue_fits(structure, finished_2ol9.data, density, F)
        for structure in (deposited_2ol9, moved)
    )
    for a, b in zip(plain, other, strict=True):
        assert a.correlation == pytest.approx(b.correlation, abs=0.005)
