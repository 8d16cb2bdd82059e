"""Phases and maps written here, read back by gemmi and by the package itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

import crysformer
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.io.read import read_crystal, read_solution_amplitudes
from crysformer.crystal.io.write import read_map, write_map, write_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError, InputError


@pytest.fixture
def data(unique_hkl: np.ndarray) -> CrystalData:
    rng = np.random.default_rng(0)
    n = len(unique_hkl)
    f = rng.uniform(1, 100, n)
    f[7] = np.nan
    free = np.arange(n, dtype=np.int32) % 20
    free[9] = NO_FLAG
    order = rng.permutation(n)
    return CrystalData(
        cell=gemmi.UnitCell(20, 23, 31, 90, 90, 90),
        space_group=gemmi.SpaceGroup("P 21 21 21"),
        hkl=unique_hkl.astype(np.int32)[order],
        f=f[order],
        sigf=(f / 10)[order],
        free=free[order],
    )


def phases(data: CrystalData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    n = len(data)
    return rng.uniform(0, 50, n), rng.uniform(-720, 720, n), rng.uniform(0, 1, n)


def test_phases_keep_every_row_and_the_setting(data: CrystalData, tmp_path: Path) -> None:
    f_weighted, phi, fom = phases(data)
    path = tmp_path / "new" / "solution.mtz"
    write_phases(path, data, f_weighted, phi, fom)

    mtz = gemmi.read_mtz_file(str(path))
    assert [(c.label, c.type) for c in mtz.columns] == [
        ("H", "H"),
        ("K", "H"),
        ("L", "H"),
        ("F", "F"),
        ("SIGF", "Q"),
        ("FreeR_flag", "I"),
        ("FWT", "F"),
        ("PHWT", "P"),
        ("FOM", "W"),
    ]
    assert mtz.spacegroup.hm == "P 21 21 21"
    assert mtz.cell.parameters == pytest.approx(data.cell.parameters)
    assert mtz.get_cell(mtz.columns[6].dataset_id).parameters == pytest.approx(data.cell.parameters)
    assert any(crysformer.__version__ in line for line in mtz.history)
    np.testing.assert_array_equal(mtz.make_miller_array(), data.hkl)

    def column(label: str) -> np.ndarray:
        return np.array(mtz.column_with_label(label).array)

    np.testing.assert_allclose(column("F"), data.f, rtol=1e-6)
    np.testing.assert_allclose(column("SIGF"), data.sigf, rtol=1e-6)
    np.testing.assert_allclose(column("FWT"), f_weighted, rtol=1e-6)
    np.testing.assert_allclose(column("FOM"), fom, rtol=1e-6)
    assert np.isnan(column("FreeR_flag")).sum() == 1
    turn = np.exp(1j * np.radians(column("PHWT") - phi))
    np.testing.assert_allclose(turn, 1.0, atol=1e-5)
    assert (np.abs(column("PHWT")) <= 180).all()


def test_without_phase_there_is_no_map_amplitude(data: CrystalData, tmp_path: Path) -> None:
    f_weighted, phi, fom = phases(data)
    f_weighted[::3], phi[::3] = 0.0, np.nan
    write_phases(tmp_path / "a.mtz", data, f_weighted, phi, fom)
    mtz = gemmi.read_mtz_file(str(tmp_path / "a.mtz"))
    missing = np.arange(len(data)) % 3 == 0
    np.testing.assert_array_equal(np.isnan(mtz.column_with_label("PHWT").array), missing)
    np.testing.assert_array_equal(np.isnan(mtz.column_with_label("FWT").array), missing)


def test_written_amplitudes_read_back_equal(data: CrystalData, tmp_path: Path) -> None:
    """Also a check that our own phases are never taken for data."""
    write_phases(tmp_path / "a.mtz", data, *phases(data))
    again = read_crystal(tmp_path / "a.mtz")
    assert again.labels == ("F", "SIGF")
    np.testing.assert_array_equal(again.hkl, data.hkl)
    np.testing.assert_allclose(again.f, data.f, rtol=1e-6)
    np.testing.assert_allclose(again.sigf, data.sigf, rtol=1e-6)
    np.testing.assert_array_equal(again.free, data.free)


@pytest.mark.parametrize("setting", ["P 1 1 21", "C 1 2 1", "I 1 2 1", "P 1 21/c 1", "R 3:R"])
def test_unusual_settings_survive(data: CrystalData, tmp_path: Path, setting: str) -> None:
    cell = (20, 20, 20, 95, 95, 95) if setting == "R 3:R" else (20, 23, 31, 90, 90, 90)
    other = replace(data, cell=gemmi.UnitCell(*cell), space_group=gemmi.SpaceGroup(setting))
    write_phases(tmp_path / "a.mtz", other, *phases(data))
    assert gemmi.read_mtz_file(str(tmp_path / "a.mtz")).spacegroup.xhm() == setting


def test_without_uncertainties_and_flags(data: CrystalData, tmp_path: Path) -> None:
    write_phases(tmp_path / "a.mtz", replace(data, sigf=None, free=None), *phases(data))
    labels = gemmi.read_mtz_file(str(tmp_path / "a.mtz")).column_labels()
    assert labels == ["H", "K", "L", "F", "FWT", "PHWT", "FOM"]


@pytest.mark.parametrize("with_errors", [True, False])
def test_amplitudes_of_a_solution_read_back(
    data: CrystalData, tmp_path: Path, with_errors: bool
) -> None:
    """Without uncertainties too, for which other files need `labin`."""
    given = data if with_errors else replace(data, sigf=None)
    write_phases(tmp_path / "out.mtz", given, data.f, 0 * data.f, 0 * data.f)
    back = read_solution_amplitudes(tmp_path / "out.mtz", "electron")
    assert (back.sigf is None) == (not with_errors)
    assert back.radiation == "electron"
    assert int(back.measured.sum()) == int(data.measured.sum())
    with pytest.raises(InputError, match="no such file"):
        read_solution_amplitudes(tmp_path / "none.mtz")


def test_wrong_length_is_refused_before_writing(data: CrystalData, tmp_path: Path) -> None:
    f_weighted, phi, fom = phases(data)
    with pytest.raises(ValueError, match="FOM has shape"):
        write_phases(tmp_path / "a.mtz", data, f_weighted, phi, fom[:-1])
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder(data: CrystalData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CrysformerError, match="cannot be written"):
        write_phases(tmp_path / "file" / "a.mtz", data, *phases(data))


def test_nothing_of_the_input_but_the_columns_used_is_copied(
    write_mtz: Callable[..., Path], unique_hkl: np.ndarray, tmp_path: Path
) -> None:
    f = np.random.default_rng(0).uniform(1, 9, len(unique_hkl))
    source = write_mtz(
        tmp_path / "in.mtz",
        unique_hkl,
        [
            ("I", "J", f**2),
            ("SIGI", "Q", f),
            ("FP", "F", f),
            ("SIGFP", "Q", f / 9),
            ("FC", "F", f),
            ("PHIC", "P", f),
            ("FREE", "I", np.ones(len(f))),
        ],
    )
    data = read_crystal(source)
    zeros = np.zeros(len(data))
    write_phases(tmp_path / "out.mtz", data, zeros, zeros, zeros)
    labels = gemmi.read_mtz_file(str(tmp_path / "out.mtz")).column_labels()
    assert labels[3:] == ["F", "SIGF", "FreeR_flag", "FWT", "PHWT", "FOM"]


# --- maps -----------------------------------------------------------------------------------------


def some_map(shape: tuple[int, int, int], group: str = "P 1") -> DensityMap:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    cell = gemmi.UnitCell(11, 14, 17, 90, 100, 90)
    return DensityMap(values, cell, gemmi.SpaceGroup(group))


def symmetric_map() -> DensityMap:
    density = some_map((10, 12, 14), "P 1 21 1")
    grid = gemmi.FloatGrid(density.values)
    grid.set_unit_cell(density.cell)
    grid.spacegroup = density.space_group
    grid.symmetrize_avg()
    return replace(density, values=np.array(grid.array))


@pytest.mark.parametrize("shape", [(10, 12, 14), (9, 15, 7), (5, 4, 3)])
def test_map_round_trip(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    density = some_map(shape)
    write_map(tmp_path / "a.ccp4", density)
    again = read_map(tmp_path / "a.ccp4")
    np.testing.assert_array_equal(again.values, density.values)
    assert again.cell.parameters == pytest.approx(density.cell.parameters)
    assert again.space_group.hm == "P 1"


def test_map_as_gemmi_reads_it(tmp_path: Path) -> None:
    density = symmetric_map()
    write_map(tmp_path / "a.ccp4", density)
    ccp4 = gemmi.read_ccp4_map(str(tmp_path / "a.ccp4"))
    assert ccp4.header_i32(4) == 2
    assert ccp4.full_cell()
    assert ccp4.axis_positions() == [0, 1, 2]
    assert ccp4.grid.spacegroup.hm == "P 1 21 1"
    assert ccp4.header_float(22) == pytest.approx(density.values.mean(), abs=1e-6)
    np.testing.assert_array_equal(np.array(ccp4.grid.array), density.values)


def test_grid_that_symmetry_does_not_fit_is_labelled_p1(tmp_path: Path) -> None:
    density = some_map((10, 11, 14), "P 1 21 1")
    write_map(tmp_path / "a.ccp4", density)
    again = read_map(tmp_path / "a.ccp4")
    assert again.space_group.hm == "P 1"
    np.testing.assert_array_equal(again.values, density.values)


def permute_axes(source: Path, target: Path, order: tuple[int, int, int]) -> None:
    """Rewrite a whole-cell map with columns, rows and sections along other axes (MAPC R S)."""
    content = source.read_bytes()
    header = np.frombuffer(content[:1024], dtype="<i4").copy()
    start = 1024 + int(header[23])
    nx, ny, nz = (int(n) for n in header[:3])
    values = np.frombuffer(content[start:], dtype="<f4").reshape(nz, ny, nx).transpose(2, 1, 0)
    header[:3] = [values.shape[axis] for axis in order]
    header[16:19] = [axis + 1 for axis in order]
    stored = values.transpose(order[::-1])
    target.write_bytes(header.tobytes() + content[1024:start] + stored.tobytes())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_axis_order(tmp_path: Path, order: tuple[int, int, int]) -> None:
    density = some_map((10, 12, 14))
    write_map(tmp_path / "a.ccp4", density)
    permute_axes(tmp_path / "a.ccp4", tmp_path / "b.ccp4", order)
    assert gemmi.read_ccp4_map(str(tmp_path / "b.ccp4")).axis_positions() == [
        order.index(axis) for axis in range(3)
    ]
    again = read_map(tmp_path / "b.ccp4")
    np.testing.assert_array_equal(again.values, density.values)


def cut_box(density: DensityMap, path: Path, high: tuple[float, float, float]) -> None:
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = gemmi.FloatGrid(density.values)
    ccp4.grid.set_unit_cell(density.cell)
    ccp4.grid.spacegroup = density.space_group
    ccp4.update_ccp4_header(2, True)
    box = gemmi.FractionalBox()
    box.minimum = gemmi.Fractional(0, 0, 0)
    box.maximum = gemmi.Fractional(*high)
    ccp4.set_extent(box)
    ccp4.write_ccp4_map(str(path))


def test_asymmetric_unit_is_completed(tmp_path: Path) -> None:
    density = symmetric_map()
    cut_box(density, tmp_path / "asu.ccp4", (1, 0.5, 1))
    again = read_map(tmp_path / "asu.ccp4")
    np.testing.assert_allclose(again.values, density.values, atol=1e-6)


def test_less_than_the_asymmetric_unit_is_refused(tmp_path: Path) -> None:
    cut_box(symmetric_map(), tmp_path / "part.ccp4", (0.5, 0.3, 0.5))
    with pytest.raises(InputError, match="only part of the cell"):
        read_map(tmp_path / "part.ccp4")


def test_truncated_map(tmp_path: Path) -> None:
    write_map(tmp_path / "a.ccp4", some_map((10, 12, 14)))
    content = (tmp_path / "a.ccp4").read_bytes()
    (tmp_path / "a.ccp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as a CCP4 map"):
        read_map(tmp_path / "a.ccp4")
