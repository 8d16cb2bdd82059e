"""Several copies in one cell: structure factors of gemmi."""

from __future__ import annotations

import gemmi
import numpy as np

from crysformer.data import DIPEPTIDE
from crysformer.data.molecule import Molecule
from crysformer.data.synthetic.measurement_model import ErrorModel
from crysformer.data.synthetic.p1_crystal import packed
from crysformer.data.synthetic.synthetic_crystal import measured_crystal


def test_amplitudes_of_copies_with_mixed_b_equal_gemmis(fifteen: Molecule) -> None:
    copies = packed(fifteen.first(2), 2, DIPEPTIDE, np.random.default_rng(2))
    copies = copies.with_b(8.0, 32.0, np.random.default_rng(3))
    crystal = measured_crystal(copies, 1.5, ErrorModel(), np.random.default_rng(0))
    b = np.array([site.atom.b_iso for site in crystal.structure[0].all()])
    assert b.min() >= 8
    assert b.max() <= 32
    assert b.std() > 4
    calculator = gemmi.StructureFactorCalculatorX(crystal.data.cell)
    F = np.array(
        [calculator.calculate_sf_from_model(crystal.structure[0], h) for h in crystal.data.hkl]
    )
    ours = crystal.f_true * np.exp(1j * np.deg2rad(crystal.phi_true))
    assert np.abs(ours - F).max() < 1e-5 * np.sqrt((np.abs(F) ** 2).mean())
    assert crystal.sequence == ",".join([fifteen.sequence[:2]] * 2)
    assert [chain.name for chain in crystal.structure[0]] == ["A", "B"]
