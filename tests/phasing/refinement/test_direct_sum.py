"""Direct summation against the sum over expanded atoms."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.operators import operators
from crysformer.phasing.refinement.direct_sum import DirectSum

CELL = gemmi.UnitCell(12, 12, 15, 90, 90, 90)


@pytest.mark.parametrize("group", ["P 1", "P 41", "C 1 2 1"])
def test_mates_are_summed_as_if_they_were_atoms(group: str) -> None:
    space_group = gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(CELL, space_group, 2.5).astype(np.int64)
    rng = np.random.default_rng(0)
    frac, weight = rng.random((2, 5, 3)), rng.uniform(1, 8, (2, 5))
    engine = DirectSum(hkl, operators(space_group, centred=True), torch.float64)
    expected = np.zeros((2, len(hkl)), dtype=np.complex128)
    for op in space_group.operations():
        sites = np.array([[op.apply_to_xyz(x) for x in atoms] for atoms in frac.tolist()])
        expected += np.einsum("bn,bnh->bh", weight, np.exp(2j * np.pi * sites @ hkl.T))
    arguments = torch.tensor(frac), torch.tensor(weight)[..., None]
    real, imaginary = engine(*arguments)
    np.testing.assert_allclose(torch.complex(real, imaginary).numpy(), expected, atol=1e-9)
    mates = engine.mates(*arguments)
    assert len(mates) == len(space_group.operations())
    torch.testing.assert_close(sum(r for r, _ in mates), real)
    some = engine(*arguments, slice(3, 9))
    torch.testing.assert_close(some[1], imaginary[:, 3:9])
    one = torch.ones(2, 5, 1, dtype=torch.float64)
    torch.testing.assert_close(engine(arguments[0])[0], engine(arguments[0], one)[0])
