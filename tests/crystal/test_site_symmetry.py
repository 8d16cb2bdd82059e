"""Special positions: their order and projection against gemmi, and what stays general."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.crystal.site_symmetry import site_symmetry

CELL = gemmi.UnitCell(9.0, 11.0, 13.0, 90.0, 101.0, 90.0)
ORTHORHOMBIC = gemmi.UnitCell(9.0, 11.0, 13.0, 90.0, 90.0, 90.0)
CUBIC = gemmi.UnitCell(11.0, 11.0, 11.0, 90.0, 90.0, 90.0)


@pytest.mark.parametrize(
    ("group", "cell", "site", "order"),
    [
        ("P -1", CELL, (0.5, 0.0, 0.5), 2),
        ("P 1 21/c 1", CELL, (0.0, 0.5, 0.5), 2),
        ("C 1 2/c 1", CELL, (0.0, 0.23, 0.25), 2),
        ("C 1 2/m 1", CELL, (0.13, 0.0, 0.31), 2),
        ("C 1 2/m 1", CELL, (0.0, 0.5, 0.5), 4),
        ("C 1 2/m 1", CELL, (0.25, 0.25, 0.0), 2),
        ("P n m a", ORTHORHOMBIC, (0.13, 0.25, 0.31), 2),
        ("P n m a", ORTHORHOMBIC, (0.13, 0.11, 0.31), 1),
        ("P m -3 m", CUBIC, (0.2, 0.2, 0.2), 6),
        ("P m -3 m", CUBIC, (0.5, 0.5, 0.5), 48),
    ],
)
def test_sites_return_to_their_special_position(
    group: str, cell: gemmi.UnitCell, site: tuple[float, float, float], order: int
) -> None:
    space_group = gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()
    structure.cell, structure.spacegroup = gemmi.UnitCell(*cell.parameters), space_group
    structure.setup_cell_images()
    assert 1 + structure.cell.is_special_position(gemmi.Fractional(*site), 0.1) == order
    found = site_symmetry(np.array([site]), cell, space_group)
    assert found.order.tolist() == [order]
    np.testing.assert_allclose(found.frac, [site], atol=1e-12)

    step = np.random.default_rng(0).normal(0, 0.01, 3)
    again = site_symmetry(np.array([site]) + step, cell, space_group, reach=0.8)
    assert again.order.tolist() == [order]
    # the nearest point of the special position: the displacement along it
    expected = np.array(site) + again.projection[0] @ step
    np.testing.assert_allclose(again.frac[0], expected, atol=1e-9)
    np.testing.assert_allclose(again.projection @ again.projection, again.projection, atol=1e-12)


def test_sites_away_from_their_mates_are_left_alone() -> None:
    frac = np.array([[0.1, 0.07, 0.3], [0.11, 0.2, 0.3]])  # 1.5 and 4.4 A from the mirror image
    found = site_symmetry(frac, CELL, gemmi.SpaceGroup("C 1 2/m 1"), reach=0.8)
    assert found.order.tolist() == [1, 1]
    np.testing.assert_array_equal(found.frac, frac)
    np.testing.assert_array_equal(found.projection, np.broadcast_to(np.eye(3), (2, 3, 3)))
