from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.fourier.form_factors import form_factors, gaussians, require_known
from crysformer.errors import InputError, UsageError

ELEMENTS = ["H", "C", "N", "O", "S", "P", "Se", "Zn", "U"]


@pytest.mark.parametrize("radiation", ["xray", "electron"])
def test_equal_gemmi(radiation: str) -> None:
    a, b = gaussians(radiation, torch.float64)
    s_sq = np.linspace(0, 1.5, 31)
    for name in ELEMENTS:
        element = gemmi.Element(name)
        table = element.it92 if radiation == "xray" else element.c4322
        expected = np.array([table.calculate_sf(x / 4) for x in s_sq])
        row = [element.atomic_number]
        ours = form_factors(a[row], b[row], torch.from_numpy(s_sq))[0].numpy()
        np.testing.assert_allclose(ours, expected, rtol=3e-6)


def test_neutral_atoms_scatter_their_electrons() -> None:
    a, _ = gaussians("xray", torch.float64)
    for number in (6, 7, 8, 16):
        assert float(a[number].sum()) == pytest.approx(number, abs=0.03)


def test_unknown_element_is_refused_by_name() -> None:
    require_known(torch.tensor([[6, 0], [8, 92]]))
    with pytest.raises(InputError, match="Og"):
        require_known(torch.tensor([6, 118]))


def test_unknown_radiation_is_refused() -> None:
    with pytest.raises(UsageError, match="neutron"):
        gaussians("neutron")
