"""Pictures of maps: what is drawn is the map, where it belongs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.errors import CrysformerError
from crysformer.report.projections import (
    _axis_labels,
    _draw_scale_bar,
    _plane,
    _sticks,
    projection_figure,
)
from crysformer.report.reference_model import model_density
from crysformer.samples import SAMPLES


def blob(cell: gemmi.UnitCell) -> DensityMap:
    values = np.zeros((12, 10, 8), dtype=np.float32)
    values[3, 5, 4] = 1.0
    return DensityMap(values, cell, gemmi.SpaceGroup("P1"))


def test_picture_has_a_panel_for_each_map_and_view(tmp_path: Path) -> None:
    density = blob(gemmi.UnitCell(12, 10, 8, 90, 90, 90))
    sizes = []
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        projection_figure({str(i): density for i in range(count)}, path, title="title")
        picture = imread(path)
        sizes.append(picture.shape)
        # Blue means more blue than red; each of the panels has a spot of dark blue.
        dark = (picture[..., 2] - picture[..., 0] > 0.3) & (picture[..., 0] < 0.2)
        assert dark.any()
    assert sizes[1][1] > sizes[0][1]


def test_views_keep_lengths_and_angle() -> None:
    cell = gemmi.UnitCell(10, 20, 30, 90, 101, 90)
    along_b = _plane(cell, 1)
    assert np.linalg.norm(along_b, axis=1) == pytest.approx([10, 0, 30])
    cosine = along_b[0] @ along_b[2] / (10 * 30)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(101)


def test_axes_are_labelled_by_what_they_show() -> None:
    monoclinic = gemmi.UnitCell(10, 20, 30, 90, 101, 90)
    assert _axis_labels(monoclinic, 2) == ("a (Å)", "b (Å)")  # seen along c
    assert _axis_labels(monoclinic, 1) == ("a (Å)", "c sin β (Å)")
    assert _axis_labels(gemmi.UnitCell(10, 20, 30, 90, 90, 90), 1) == ("a (Å)", "c (Å)")


@pytest.mark.parametrize(
    ("cell", "panels"),
    [
        ((14.002, 4.879, 15.1, 75.234, 75.88, 78.894), 1),
        ((22, 4.9, 23, 90, 107, 90), 3),
        ((9, 8, 7, 90, 90, 90), 1),
    ],
)
def test_words_are_apart_and_on_the_paper(
    cell: tuple[float, ...], panels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *args: Any, **options: Any) -> None:
        figures.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    model = gemmi.read_structure(str(SAMPLES[0].model_path))
    density = blob(gemmi.UnitCell(*cell))
    maps = {f"P 1, {i}": density for i in range(panels)}
    projection_figure(maps, tmp_path / "maps.png", "2ol9.mtz: solved, confidence 1.00", model)
    figure = figures[0]
    figure.set_dpi(110)
    figure.draw_without_rendering()
    axes = [panel for panel in figure.axes if panel.get_xlabel()]
    texts = [*figure.texts, *(panel.title for panel in axes)]
    texts += [text for panel in axes for text in (panel.xaxis.label, panel.yaxis.label)]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    paper = figure.bbox
    for box in boxes:
        assert paper.x0 <= box.x0 < box.x1 <= paper.x1
        assert paper.y0 <= box.y0 < box.y1 <= paper.y1
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize(("width", "length"), [(7.0, 2.0), (9.0, 2.0), (41.0, 10.0), (80.0, 20.0)])
def test_the_scale_bar_is_to_scale(width: float, length: float) -> None:
    panel = Figure().subplots()
    panel.set(xlim=(-1, width - 1), ylim=(0, 10))
    _draw_scale_bar(panel)
    assert np.ptp(panel.lines[0].get_xdata()) == pytest.approx(length)
    assert panel.texts[0].get_text() == f"{length:g} Å"
    assert panel.get_xlim() == (-1, width - 1)


def test_sticks_are_the_bonds_of_all_symmetry_mates() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "5e5z")
    structure = gemmi.read_structure(str(sample.model_path))
    sticks = _sticks(structure, structure.cell)
    assert len(sticks) == 2 * 46  # 46 atoms of LVHSSN: 45 bonds join them, one more closes the ring
    lengths = np.linalg.norm(
        np.diff(sticks, axis=1)[:, 0] @ np.array(structure.cell.orth.mat.tolist()).T, axis=1
    )
    assert lengths.min() > 1.1
    assert lengths.max() < 1.7


def test_a_flat_map_and_a_real_one_can_be_drawn(tmp_path: Path) -> None:
    structure = gemmi.read_structure(str(SAMPLES[0].model_path))
    density = model_density(structure, 1.5)
    flat = DensityMap(np.zeros_like(density.values), density.cell, density.space_group)
    projection_figure({"true": density, "flat": flat}, tmp_path / "maps.svg", model=structure)
    assert "<svg" in (tmp_path / "maps.svg").read_text()


def test_unwritable_picture_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    density = blob(gemmi.UnitCell(12, 10, 8, 90, 90, 90))
    with pytest.raises(CrysformerError, match="cannot be written"):
        projection_figure({"map": density}, tmp_path / "file" / "maps.png")
