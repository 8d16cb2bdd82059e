"""Maps and models in the page."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.report.html.result_folder import read_result_folder
from crysformer.report.html.viewer import best_view, ccp4_bytes, maps_in_page, pdb_text


def grid_of(shape: tuple[int, int, int] = (12, 10, 8)) -> gemmi.FloatGrid:
    values = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    return gemmi.FloatGrid(values, gemmi.UnitCell(9, 8, 7, 90, 95, 90), gemmi.SpaceGroup("P 1"))


def decoded(content: bytes, path: Path) -> tuple[gemmi.Ccp4Mask, np.ndarray]:  # type: ignore[type-arg]
    """Densities as CCP4's convention for scaled bytes gives them."""
    path.write_bytes(content)
    file = gemmi.read_ccp4_mask(str(path))
    low, high = file.header_float(20), file.header_float(21)
    assert (file.header_i32(40), file.header_i32(41)) == (-128, 127)
    return file, low + (np.array(file.grid, dtype=float) + 128) * (high - low) / 255


def test_a_map_of_bytes_is_the_map_to_a_255th_of_its_range(tmp_path: Path) -> None:
    grid = grid_of()
    values = np.array(grid)
    file, found = decoded(ccp4_bytes(grid), tmp_path / "map.ccp4")
    assert found.shape == values.shape
    step = float(values.max() - values.min()) / 255
    assert np.abs(found - values).max() <= 0.51 * step
    assert file.header_float(22) == pytest.approx(float(values.mean()), abs=1e-6)
    assert file.header_float(55) == pytest.approx(float(values.std()), rel=1e-5)
    assert file.grid.unit_cell.parameters == grid.unit_cell.parameters


def test_a_part_of_a_map_keeps_its_place(tmp_path: Path) -> None:
    grid = grid_of((20, 20, 20))
    box = gemmi.FractionalBox()
    box.minimum, box.maximum = gemmi.Fractional(0.2, -0.1, 0.4), gemmi.Fractional(0.5, 0.3, 1.9)
    content = ccp4_bytes(grid, box)
    assert len(content) < len(ccp4_bytes(grid))
    file, _ = decoded(content, tmp_path / "part.ccp4")
    start = [file.header_i32(word) for word in (5, 6, 7)]
    size = [file.header_i32(word) for word in (1, 2, 3)]
    assert start == [4, -2, 8]
    assert size[2] <= 20
    step = (np.array(grid).max() - np.array(grid).min()) / 255
    low = file.header_float(20)
    part = low + (np.array(file.grid, dtype=float) + 128) * step
    whole = np.array(grid)
    for i, j, k in ((0, 0, 0), (3, 5, 7)):
        there = whole[(start[0] + i) % 20, (start[1] + j) % 20, (start[2] + k) % 20]
        assert float(part[i, j, k]) == pytest.approx(float(there), abs=0.51 * float(step))


def test_maps_of_a_solution(solved: Path) -> None:
    results = read_result_folder(solved)
    density, difference = maps_in_page(results)
    assert (density.name, density.difference) == ("2mFo-DFc", False)
    assert (difference.name, difference.difference) == ("mFo-DFc", True)
    assert base64.b64decode(density.data)[208:212] == b"MAP "


def test_the_longest_axis_lies_across_the_picture() -> None:
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    residue = gemmi.Residue()
    rng = np.random.default_rng(0)
    for position in rng.normal(size=(50, 3)) * (9, 1, 4):
        atom = gemmi.Atom()
        atom.name, atom.element = "C1", gemmi.Element("C")
        atom.pos = gemmi.Position(*position)
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    view = best_view(structure)
    assert view is not None
    assert abs(view["eye"][1]) > 0.9
    assert abs(view["up"][2]) > 0.9
    assert pdb_text(structure).count("\nATOM") + pdb_text(structure).count("\nHETATM") >= 49


def test_the_viewer_is_the_published_file() -> None:
    vendor = resources.files("crysformer.report").joinpath("vendor")
    found = hashlib.sha256(vendor.joinpath("uglymol-0.7.2.js").read_bytes()).hexdigest()
    stated = re.search(r"`([0-9a-f]{64})`", vendor.joinpath("README.md").read_text())
    assert stated is not None
    assert found == stated[1]
    assert "MIT" in vendor.joinpath("uglymol-LICENSE.txt").read_text()
