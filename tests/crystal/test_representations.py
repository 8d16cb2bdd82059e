"""Data and maps as a console and a notebook show them, and as other packages get them."""

from __future__ import annotations

import base64
import io
import re
import sys
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import gemmi
import numpy as np
import pytest
from matplotlib.image import imread

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.projections_svg import projections_svg
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.report import data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import UsageError
from crysformer.inline_html import card, png_uri
from crysformer.testing import sample

CELL = gemmi.UnitCell(10, 12, 20, 90, 110, 90)


@pytest.fixture(scope="module")
def data() -> CrystalData:
    return read_crystal(sample("5e5z").data_path)


@pytest.fixture
def density() -> DensityMap:
    values = np.zeros((10, 12, 20), np.float32)
    values[2, 9, 15] = 1.0
    return DensityMap(values, CELL, gemmi.SpaceGroup("P 1 21 1"))


def test_one_line_for_a_console(data: CrystalData, density: DensityMap) -> None:
    text = repr(data)
    assert text.endswith(
        "403 of 441 reflections, 18.67 to 1.66 Å, P 1 21 1, 9.64 x 9.61 x 19.03 Å, 90 101.22 90°>"
    )
    assert repr(density) == (
        "<DensityMap: 10 x 12 x 20, P 1 21 1, cell 10.00 x 12.00 x 20.00 Å, 90 110 90°>"
    )
    assert re.fullmatch(r"<DataReport of .*5e5z.mtz: 18.67 to 1.66 Å, \d warnings?>",
                        repr(data_report(data)))  # fmt: skip


def test_text_is_escaped(data: CrystalData) -> None:
    evil = '<script>alert("1")</script>'
    odd = replace(data, source=evil, labels=(evil,), warnings=(evil,))
    html = odd._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3
    assert "<script" not in card(evil, {evil: evil}, warning=evil)


def test_png_is_what_another_reader_sees() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    content = base64.b64decode(png_uri(pixels).partition(",")[2])
    assert np.array_equal(np.rint(255 * imread(io.BytesIO(content))), pixels)


def test_a_projection_shows_an_atom_where_it_is(density: DensityMap) -> None:
    """The atom at (0.2, 0.75, 0.75), seen along b: a to the right, c up and oblique."""
    views = ElementTree.fromstring(f"<all>{projections_svg(density)}</all>")
    svg = views[1]
    assert svg.get("aria-label") == "highest density along b"
    space = "{http://www.w3.org/2000/svg}"
    image = svg.find(f"{space}image")
    assert image is not None
    content = base64.b64decode(str(image.get("href")).partition(",")[2])
    pixels = imread(io.BytesIO(content))
    row, column = np.unravel_index(pixels.sum(axis=2).argmin(), pixels.shape[:2])
    assert (row, column) == (20 - 1 - 15, 2)
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", str(image.get("transform")))]
    matrix = np.array(numbers).reshape(3, 2)
    # corners of the image in the picture: the far end of c is up, and left of its origin
    top_left, top_right, bottom_left = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1]]) @ matrix
    assert top_left[1] < bottom_left[1]
    up = top_left - bottom_left
    assert up[0] / -up[1] == pytest.approx(1 / np.tan(np.radians(110)), abs=1e-3)
    assert np.linalg.norm(up) / np.linalg.norm(top_right - top_left) == pytest.approx(2.0, abs=1e-3)


def test_nothing_is_loaded_from_elsewhere(density: DensityMap) -> None:
    html = density._repr_html_()
    addresses = re.findall(r'(?:href|src)="([^"]{0,30})', html)
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)


def test_a_constant_map_is_drawn(density: DensityMap) -> None:
    assert "<svg" in replace(density, values=np.zeros_like(density.values))._repr_html_()


def test_reflections_for_gemmi(data: CrystalData) -> None:
    mtz = data.to_gemmi()
    assert mtz.column_labels() == ["H", "K", "L", "F", "SIGF", "FreeR_flag"]
    assert np.array_equal(mtz.make_miller_array(), data.hkl)
    values = np.asarray(mtz.column_with_label("F"))
    assert np.allclose(values, data.f.astype(np.float32), equal_nan=True)


def test_a_map_for_gemmi(density: DensityMap) -> None:
    grid = density.to_gemmi()
    assert grid.get_value(2, 9, 15) == 1.0
    assert grid.spacegroup.xhm() == "P 1 21 1"
    odd = replace(density, values=density.values[:, :11])
    assert odd.to_gemmi().spacegroup.xhm() == "P 1"  # no grid for a screw axis along b


def test_a_data_set_of_reciprocalspaceship(
    data: CrystalData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reciprocalspaceship", None)
    with pytest.raises(UsageError, match=r"pip install 'crysformer\[reciprocalspaceship\]'"):
        data.to_dataset()
    given = SimpleNamespace(DataSet=SimpleNamespace(from_gemmi=lambda mtz: mtz.column_labels()))
    monkeypatch.setitem(sys.modules, "reciprocalspaceship", given)
    assert data.to_dataset()[3:] == ["F", "SIGF", "FreeR_flag"]
