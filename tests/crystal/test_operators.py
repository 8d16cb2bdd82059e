from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.crystal.operators import STEPS, integer_rotation, operators

EVERY_SETTING = [sg.xhm() for sg in gemmi.spacegroup_table()]


@pytest.mark.parametrize("centred", [False, True])
def test_arrays_move_positions_and_indices_as_gemmi_does(centred: bool) -> None:
    rng = np.random.default_rng(5)
    x, h = rng.random(3), rng.integers(-9, 10, 3)
    for name in EVERY_SETTING:
        operations = gemmi.SpaceGroup(name).operations()
        ops = operators(gemmi.SpaceGroup(name), centred=centred)
        listed = list(operations) if centred else list(operations.sym_ops)
        assert ops.triplets == tuple(op.triplet() for op in listed)
        assert len(ops) == len(listed)
        for op, (rotation, translation) in zip(listed, ops, strict=True):
            np.testing.assert_allclose(
                rotation @ x + translation, op.apply_to_xyz(x.tolist()), atol=1e-12
            )
            assert (h @ rotation).tolist() == op.apply_to_hkl(h.tolist())
            np.testing.assert_array_equal(rotation, integer_rotation(op))


def test_translations_are_whole_24ths() -> None:
    for name in EVERY_SETTING:
        ops = operators(gemmi.SpaceGroup(name), centred=True)
        listed = list(gemmi.SpaceGroup(name).operations())
        assert ops.steps.tolist() == [op.tran for op in listed]
        np.testing.assert_array_equal(ops.translations, ops.steps / STEPS)
        assert not ops.centring[0].any()
        assert len(ops.centring) * len(operators(gemmi.SpaceGroup(name))) == len(ops)


@pytest.mark.parametrize(
    ("name", "polar"), [("P 1", [1, 1, 1]), ("P 1 21 1", [0, 1, 0]), ("P 21 21 21", [0, 0, 0])]
)
def test_polar_projector_keeps_the_directions_along_which_the_origin_is_free(
    name: str, polar: list[int]
) -> None:
    np.testing.assert_allclose(operators(gemmi.SpaceGroup(name)).polar_projector, np.diag(polar))
