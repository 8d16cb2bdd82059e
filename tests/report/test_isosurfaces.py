"""Iso-surfaces: where they lie, what they enclose, and that a picture shows them."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
from matplotlib.image import imread

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.errors import CrysformerError
from crysformer.report import isosurfaces
from crysformer.report.isosurfaces import (
    PREDICTED,
    TRUE,
    Panel,
    flat_view,
    isosurface_figure,
    level_of,
    surface_of,
)
from crysformer.report.rasteriser import Window, render
from crysformer.report.triangles import Triangles, ball, stick

CELL = gemmi.UnitCell(12, 10, 9, 90, 90, 90)


def blob(centre: tuple[float, float, float], cell: gemmi.UnitCell = CELL) -> DensityMap:
    """A Gaussian of 1 A about a point (A) and its copies, on a grid of 0.5 A."""
    shape = tuple(2 * round(x) for x in cell.parameters[:3])
    frac = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    away = frac - np.array(centre) / cell.parameters[:3]
    away -= np.round(away)
    r_sq = ((away * cell.parameters[:3]) ** 2).sum(-1)
    values = np.exp(-r_sq / 2)
    return DensityMap((values - values.mean()).astype(np.float32), cell, gemmi.SpaceGroup("P 1"))


def triangles_area(part: Triangles) -> float:
    a, b = part.corners[:, 1] - part.corners[:, 0], part.corners[:, 2] - part.corners[:, 0]
    return float(np.linalg.norm(np.cross(a, b), axis=1).sum() / 2)


def test_surface_of_a_gaussian_is_a_sphere_of_the_volume_wanted() -> None:
    pytest.importorskip("skimage")
    radius = 1.2
    # the molecule is at the border of the cell: half of the blob is on the other side
    density = blob((0.2, 5.0, 8.9))
    atom = np.array([[0.2, 5.0, 8.9]])
    level = level_of(density, 4 / 3 * np.pi * radius**3)
    surface = surface_of(density, atom, level, TRUE)
    distance = np.linalg.norm(surface.corners - atom[0], axis=-1)
    assert distance == pytest.approx(radius, abs=0.06)
    assert triangles_area(surface) == pytest.approx(4 * np.pi * radius**2, rel=0.05)
    outward = (surface.corners - atom[0]) / distance[..., None]
    assert np.abs((surface.normals * outward).sum(-1)).min() > 0.98


def test_nothing_is_drawn_twice_or_of_the_neighbours() -> None:
    pytest.importorskip("skimage")
    small = gemmi.UnitCell(5, 5, 5, 90, 90, 90)
    density = blob((2.5, 2.5, 2.5), small)
    surface = surface_of(density, np.array([[2.5, 2.5, 2.5]]), level_of(density, 8.0), TRUE)
    assert np.abs(surface.corners - 2.5).max() < 2.5
    # away from the molecule: its copies' cells divide what lies between them
    off = surface_of(density, np.array([[0.1, 2.5, 2.5]]), level_of(density, 8.0), TRUE)
    assert triangles_area(off) == pytest.approx(triangles_area(surface), rel=0.1)


def test_a_flat_map_has_no_surface() -> None:
    pytest.importorskip("skimage")
    flat = DensityMap(np.zeros((8, 8, 8), np.float32), CELL, gemmi.SpaceGroup("P 1"))
    assert len(surface_of(flat, np.zeros((1, 3)), level_of(flat, 10.0), TRUE).corners) == 0


def test_view_is_flat_and_no_mirror() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        xyz = rng.normal(size=(30, 3)) * rng.permutation([5.0, 2.0, 0.5])
        view = flat_view(xyz)
        assert np.linalg.det(view) == pytest.approx(1)
        spread = (xyz @ view.T).std(axis=0)
        assert spread[0] > spread[1] > spread[2]
        assert (xyz[0] - xyz.mean(0)) @ view[0] <= 0


def square(z: float, colour: tuple[float, float, float], opacity: float) -> Triangles:
    """Two triangles that cover the middle of the page, towards the viewer."""
    a, b, c, d = ([-2, -2, z], [2, -2, z], [2, 2, z], [-2, 2, z])
    corners = np.array([[a, b, c], [a, c, d]], dtype=float)
    return Triangles(corners, np.broadcast_to([0.0, 0.0, 1.0], (2, 3, 3)), colour, opacity)


def test_every_pixel_of_a_surface_is_drawn_once_and_in_order_of_depth() -> None:
    window = Window(6.0, 4.8, 1e9, 10.0)  # so deep that nothing fades noticeably
    assert window.shape == (48, 60)
    red, blue = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    one = render([square(0.0, red, 0.5)], window)
    inside = np.abs(one - 1).sum(-1) > 0
    assert inside.sum() == 40 * 40  # 4 A at 10 pixels: the diagonal belongs to one triangle
    assert np.ptp(one[inside], axis=0) == pytest.approx(0, abs=1e-9)
    front_red = render([square(1.0, red, 0.5), square(-1.0, blue, 0.5)], window)[24, 30]
    front_blue = render([square(-1.0, red, 0.5), square(1.0, blue, 0.5)], window)[24, 30]
    assert front_red[0] > front_red[2]
    assert front_blue[2] > front_blue[0]
    hidden = render([square(1.0, red, 1.0), square(-1.0, blue, 1.0)], window)
    assert hidden == pytest.approx(render([square(1.0, red, 1.0)], window))


def test_balls_and_sticks_cover_what_they_should() -> None:
    window = Window(8.0, 8.0, 1e9, 20.0)
    disc = np.abs(render([ball(np.zeros(3), 2.0, "black")], window) - 1).sum(-1) > 0
    assert disc.sum() / 400 == pytest.approx(np.pi * 4, rel=0.04)
    bar = stick(np.array([-3.0, 0, 0]), np.array([3.0, 0, 0]), 0.5, "black")
    drawn = np.abs(render([bar], window) - 1).sum(-1) > 0
    assert drawn.sum() / 400 == pytest.approx(6.0, rel=0.03)
    assert np.linalg.norm(bar.normals, axis=-1) == pytest.approx(1)
    assert render([], window) == pytest.approx(1)


def test_picture_has_true_density_in_blue_and_the_prediction_in_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(isosurfaces, "_DPI", 100)
    structure = gemmi.Structure()
    structure.cell = CELL
    model, chain, residue = gemmi.Model(1), gemmi.Chain("A"), gemmi.Residue()
    residue.name = "GLY"
    for name, x in (("N", 5.0), ("C", 6.4)):
        atom = gemmi.Atom()
        atom.name, atom.element = name, gemmi.Element(name)
        atom.pos = gemmi.Position(x, 5.0, 4.5)
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    near, far = blob((5.6, 5.0, 4.5)), blob((5.6, 7.0, 4.5))
    panels = [Panel("true", [(near, TRUE)]), Panel("both", [(near, TRUE), (far, PREDICTED)])]
    isosurface_figure(panels, structure, tmp_path / "new" / "case.png", "a title")
    picture = imread(tmp_path / "new" / "case.png")[..., :3]
    half = picture.shape[1] // 2
    blue, red = (picture[..., i] - picture[..., 2 - i] > 0.15 for i in (2, 0))
    assert blue[:, :half].sum() > 220
    assert red[:, half:].sum() > 220
    assert red[:, :half].sum() < 12


def test_without_the_library_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(CrysformerError, match=r"crysformer\[figures\]"):
        isosurfaces.require_marching_cubes()
