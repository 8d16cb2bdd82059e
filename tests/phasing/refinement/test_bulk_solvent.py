"""Bulk-solvent and anisotropic scale."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.bulk_solvent import ResolutionScale

P21 = gemmi.SpaceGroup("P 1 21 1")


def test_scale_is_one_where_reflections_are_few_and_symmetric_where_not() -> None:
    cell = gemmi.UnitCell(12, 14, 15, 90, 100, 90)
    hkl = gemmi.make_miller_array(cell, P21, 1.5)
    data = CrystalData(cell, P21, hkl, np.ones(len(hkl)))
    scaling = ResolutionScale(data)
    curve = scaling.start(1)
    curve[:, 2:] = 1.0
    few = ResolutionScale(data.select(np.arange(len(hkl)) < 50))
    assert few.n_parameters == 0
    assert float(few.factor(curve)) == 1.0
    mates = hkl @ np.diag([-1, 1, -1]).astype(np.int32)
    other = ResolutionScale(replace(data, hkl=mates))
    torch.testing.assert_close(scaling.factor(curve), other.factor(curve))
    # as Babinet says: nothing much is left at low resolution, all at high
    strong = scaling.start(1)
    strong[:, 0], strong[:, 2:] = 3.0, 0.0
    factor = scaling.factor(strong)[0]
    d = data.d
    assert float(factor[d > 8].max()) < 0.4 < 0.95 < float(factor[d < 1.7].min())
