"""Columns of solution.mtz: types, phases, probabilities, and what the input is kept of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

from crysformer.building.writing.solution_mtz import write_model_phases
from crysformer.crystal.free_set import FreeSet, free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.provenance import Provenance

TYPES = {
    "H": "H", "K": "H", "L": "H", "F": "F", "SIGF": "Q", "FreeR_flag": "I", "FC": "F",
    "PHIC": "P", "FWT": "F", "PHWT": "P", "DELFWT": "F", "PHDELWT": "P", "FOM": "W", "PHIB": "P",
    "HLA": "A", "HLB": "A", "HLC": "A", "HLD": "A",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(
    finished_2ol9: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, gemmi.Mtz]:
    path = tmp_path_factory.mktemp("mtz") / "solution.mtz"
    write_model_phases(path, finished_2ol9)
    return path, gemmi.read_mtz_file(str(path))


def column(mtz: gemmi.Mtz, label: str) -> np.ndarray:
    return np.array(mtz.column_with_label(label).array, dtype=np.float64)


def test_columns_and_types(written: tuple[Path, gemmi.Mtz]) -> None:
    assert {c.label: c.type for c in written[1].columns} == TYPES


def test_measurements_and_flags_are_read_back(
    written: tuple[Path, gemmi.Mtz], finished_2ol9: SimpleNamespace
) -> None:
    data = read_crystal(written[0])
    original = finished_2ol9.data
    assert (data.hkl == original.hkl).all()
    assert data.f == pytest.approx(original.f, rel=1e-6, nan_ok=True)
    assert data.labels == ("F", "SIGF")
    assert (data.free == finished_2ol9.free.flags).all()


def test_phases_are_those_of_the_atoms(
    written: tuple[Path, gemmi.Mtz], finished_2ol9: SimpleNamespace
) -> None:
    mtz = written[1]
    structure = finished_2ol9.scaled.structure.clone()
    structure.setup_cell_images()
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    rows = np.random.default_rng(0).choice(len(finished_2ol9.data), 60, replace=False)
    hkl = finished_2ol9.data.hkl[rows].tolist()
    F = np.array([direct.calculate_sf_from_model(structure[0], h) for h in hkl])
    phase = column(mtz, "PHIC")[rows]
    error = np.angle(F * np.exp(-1j * np.radians(phase)), deg=True)
    strong = np.abs(F) > np.median(np.abs(F))
    assert np.abs(error[strong]).max() < 5  # PHIC has solvent, F has not
    ratio = column(mtz, "FC")[rows] / np.abs(F)
    assert ratio[strong] == pytest.approx(np.full(strong.sum(), np.median(ratio)), rel=0.3)
    assert (np.abs(phase) <= 180).all()


def test_coefficients_agree_with_each_other(
    written: tuple[Path, gemmi.Mtz], finished_2ol9: SimpleNamespace
) -> None:
    mtz = written[1]
    values = {label: column(mtz, label) for label in TYPES}
    known = np.isfinite(values["FOM"])
    assert (known == finished_2ol9.data.measured).all()
    # P1 without centric reflections: m of a von Mises distribution around PHIB
    x = np.hypot(values["HLA"], values["HLB"])[known]
    angle = np.degrees(np.arctan2(values["HLB"], values["HLA"]))[known]
    turn = (angle - values["PHIB"][known] + 180) % 360 - 180
    assert np.abs(turn[x > 1e-3]).max() < 0.1
    grid = np.radians(np.arange(0, 360, 2.0))
    few = np.flatnonzero(x < 200)[:100]
    weight = np.exp(x[few, None] * (np.cos(grid) - 1))
    mean = (weight * np.cos(grid)).sum(1) / weight.sum(1)
    assert values["FOM"][known][few] == pytest.approx(mean, abs=2e-3)
    assert not np.nanmax(np.abs(values["HLC"]))

    def vector(amplitude: str, phase: str) -> np.ndarray:
        return values[amplitude] * np.exp(1j * np.radians(values[phase]))

    # 2mFo-DFc less mFo-DFc is mFo
    best = vector("FWT", "PHWT") - vector("DELFWT", "PHDELWT")
    expected = values["FOM"] * values["F"]
    assert np.abs(best)[known] == pytest.approx(expected[known], rel=1e-3, abs=1e-3)


def test_title_history_wavelength_and_names_are_kept(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    provenance = Provenance("A peptide", ("From AIMLESS", "From XDS"), "project", "xtal", "peak")
    data = replace(finished_2ol9.data, provenance=provenance, wavelength=0.9793)
    model = SimpleNamespace(**{**vars(finished_2ol9), "data": data})
    path = tmp_path / "solution.mtz"
    write_model_phases(path, model)
    again = read_crystal(path)
    assert again.wavelength == pytest.approx(0.9793)
    found = again.provenance
    assert (found.title, found.project, found.crystal, found.data_set) == (
        "A peptide", "project", "xtal", "peak",
    )  # fmt: skip
    assert found.history[0].startswith("From crysformer ")
    assert found.history[1:] == ("From AIMLESS", "From XDS")
    # and once more: what was written is the input of a later run
    write_model_phases(path, SimpleNamespace(**{**vars(model), "data": again}))
    assert read_crystal(path).provenance == found


def test_the_base_data_set_and_a_file_without_names_get_names(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    for given in (
        Provenance(),
        Provenance(project="HKL_base", crystal="HKL_base", data_set="HKL_base"),
    ):
        data = replace(finished_2ol9.data, provenance=given, wavelength=1.5418)
        path = tmp_path / "solution.mtz"
        write_model_phases(path, SimpleNamespace(**{**vars(finished_2ol9), "data": data}))
        names = [d.dataset_name for d in gemmi.read_mtz_file(str(path)).datasets]
        assert names == ["HKL_base", "crysformer"]
        assert read_crystal(path).wavelength == pytest.approx(1.5418)


def test_long_and_foreign_text_fits_the_header(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    long = "\u00e9" + 200 * "x"
    provenance = Provenance(long, tuple(f"{i} {long}" for i in range(50)), long, long, long)
    data = replace(finished_2ol9.data, provenance=provenance)
    path = tmp_path / "solution.mtz"
    write_model_phases(path, SimpleNamespace(**{**vars(finished_2ol9), "data": data}))
    again = read_crystal(path)
    assert again.provenance.title == ("?" + 69 * "x")
    assert len(again.provenance.history) == 30
    assert again.f == pytest.approx(data.f, rel=1e-6, nan_ok=True)


def test_drawn_flags_are_written_and_none_are_not(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    bare = replace(finished_2ol9.data, free=None, free_label="")
    drawn = free_set(bare)
    assert drawn.origin == "drawn"
    for free, expected in ((drawn, True), (FreeSet.empty(len(bare)), False)):
        model = SimpleNamespace(**{**vars(finished_2ol9), "data": bare, "free": free})
        path = tmp_path / "solution.mtz"
        write_model_phases(path, model)
        again = read_crystal(path)
        assert (again.free is not None) == expected
    write_model_phases(path, SimpleNamespace(**{**vars(model), "free": drawn}))
    assert (free_set(read_crystal(path)).free == drawn.free).all()
