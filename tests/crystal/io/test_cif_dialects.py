"""CIF of the wwPDB, of SHELXL and of the COD: names of items, statements of symmetry, embedding."""

from __future__ import annotations

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.io.read import read_crystal
from crysformer.errors import InputError

CELL = gemmi.UnitCell(8.1, 9.4, 17.3, 90, 101.5, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")
CORE_CELL = """_cell_length_a 8.1(1)
_cell_length_b 9.4
_cell_length_c 17.30(2)
_cell_angle_alpha 90
_cell_angle_beta 101.5
_cell_angle_gamma 90
"""
MMCIF_CELL = CORE_CELL.replace("_cell_", "_cell.")
SYMBOL = "_symmetry_space_group_name_H-M 'P 21'\n"
RES = """TITL made up
CELL 0.71073 8.1 9.4 17.3 90 101.5 90
LATT -1
SYMM -X,0.5+Y,-Z
"""


@pytest.fixture(scope="module")
def hkl() -> NDArray[np.int32]:
    hkl = gemmi.make_miller_array(CELL, GROUP, 2.0)
    absent = np.asarray(GROUP.operations().systematic_absences(hkl), dtype=bool)
    return hkl[~absent]


@pytest.fixture(scope="module")
def intensities(hkl: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.round(np.random.default_rng(4).exponential(300, len(hkl)) + 20, 2)


def loop(tags: list[str], hkl: NDArray[np.int32], *columns: NDArray) -> str:
    rows = [
        " ".join(map(str, [*index, *values]))
        for index, *values in zip(hkl.tolist(), *columns, strict=True)
    ]
    return "\n".join(["loop_", *tags, *rows]) + "\n"


def core(*names: str) -> list[str]:
    return [f"_refln_{name}" for name in ("index_h", "index_k", "index_l", *names)]


def embedded(hkl: NDArray[np.int32], i: NDArray[np.float64]) -> str:
    lines = [
        f"{h:4d}{k:4d}{l:4d}{value:8.2f}{value / 50:8.2f}"
        for (h, k, l), value in zip(hkl.tolist(), i, strict=True)  # noqa: E741
    ]
    return "\n".join([*lines, "   0   0   0    0.00    0.00"])


@pytest.mark.parametrize(
    ("statement", "symbol"),
    [
        ("_symmetry.Int_Tables_number 4", "P 1 21 1"),
        ("_symmetry_Int_Tables_number 4", "P 1 21 1"),
        ("_space_group.IT_number '4'", "P 1 21 1"),
        ("_space_group_IT_number 4", "P 1 21 1"),
        ("_space_group.name_Hall 'P 2yb'", "P 1 21 1"),
        ("_symmetry_space_group_name_Hall 'P 2yb'", "P 1 21 1"),
        ("_space_group.name_H-M_alt 'P 1 21 1'", "P 1 21 1"),
        ("_space_group_name_H-M_alt 'P 2(1)'", "P 1 21 1"),
        ("_symmetry.space_group_name_H-M P2_1", "P 1 21 1"),
        ("_symmetry_space_group_name_H-M ?\n_space_group_IT_number 4", "P 1 21 1"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, 1/2+y, -z'", "P 1 21 1"),
        (
            "loop_\n_symmetry_equiv.id\n_symmetry_equiv.pos_as_xyz\n1 X,Y,Z\n2 -X,Y+1/2,-Z",
            "P 1 21 1",
        ),
        ("loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,y+0.5,-z", "P 1 21 1"),
        ("loop_\n_space_group_symop.operation_xyz\nx,y,z\n-x,y,-z", "P 1 2 1"),
    ],
)
def test_space_group_under_every_name(
    tmp_path: Path,
    hkl: NDArray[np.int32],
    intensities: NDArray[np.float64],
    statement: str,
    symbol: str,
) -> None:
    tags = [name.replace("_refln_", "_refln.") for name in core("intensity_meas")]
    reflections = loop([*tags, "_refln.intensity_sigma"], hkl, intensities, intensities / 10)
    path = tmp_path / "x.cif"
    path.write_text(f"data_x\n{MMCIF_CELL}{statement}\n{reflections}")
    assert read_crystal(path).space_group.xhm() == symbol


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("names", "squared"),
    [
        (("F_squared_calc", "F_squared_meas", "F_squared_sigma", "observed_status"), True),
        (("F_meas", "F_sigma", "A_calc", "B_calc"), False),
        (("F_squared_meas", "F_squared_sigma", "F_calc", "phase_calc"), True),
        (("F_squared_meas", "F_squared_meas_su"), True),
        (("intensity_meas", "intensity_sigma"), True),
        (("F_meas", "F_meas_sigma"), False),
        (("F_SQUARED_MEAS", "F_Squared_Sigma"), True),
    ],
    ids=["list-4", "list-3", "list-6", "su", "intensity", "F", "capitals"],
)
def test_lists_of_shelxl_and_cod(
    tmp_path: Path,
    hkl: NDArray[np.int32],
    intensities: NDArray[np.float64],
    names: tuple[str, ...],
    squared: bool,
    ending: str,
    compressed: bool,
) -> None:
    value = intensities if squared else np.sqrt(intensities)
    columns = {
        "meas": value, "sigma": value / 50, "su": value / 50, "calc": value * 3,
        "status": np.full(len(value), "o"),
    }  # fmt: skip
    given = [columns[name.lower().rpartition("_")[2]] for name in names]
    text = f"# COD\ndata_x\n{CORE_CELL}{SYMBOL}{loop(core(*names), hkl, *given)}"
    content = text.replace("\n", ending).encode()
    path = tmp_path / "x.fcf"
    path.write_bytes(gzip.compress(content) if compressed else content)
    data = read_crystal(path)
    assert data.measured.sum() == len(hkl)
    assert data.cell.parameters == pytest.approx(CELL.parameters)
    # strong measurements: French & Wilson's method changes them little
    np.testing.assert_allclose(data.f, np.sqrt(intensities), rtol=0.02)


def test_status_of_core_cif(
    tmp_path: Path, hkl: NDArray[np.int32], intensities: NDArray[np.float64]
) -> None:
    status = np.full(len(hkl), "o")
    status[:4] = ["x", "<", "-", "h"]
    tags = core("F_squared_meas", "F_squared_sigma", "observed_status")
    path = tmp_path / "x.hkl"
    reflections = loop(tags, hkl, intensities, intensities / 10, status)
    path.write_text(f"data_x\n{CORE_CELL}{SYMBOL}{reflections}")
    data = read_crystal(path)
    assert np.flatnonzero(~data.measured).tolist() == [0, 2, 3]


def test_symmetry_in_another_block(
    tmp_path: Path, hkl: NDArray[np.int32], intensities: NDArray[np.float64]
) -> None:
    reflections = loop(core("F_squared_meas", "F_squared_sigma"), hkl, intensities, intensities)
    path = tmp_path / "x.cif"
    path.write_text(f"data_a\n{CORE_CELL}{SYMBOL}data_b\n{reflections}")
    data = read_crystal(path)
    assert data.space_group.xhm() == "P 1 21 1"


def test_unmerged_core_cif(tmp_path: Path, hkl: NDArray[np.int32]) -> None:
    tags = [name.replace("_refln_", "_diffrn_refln_") for name in core("intensity_net")]
    path = tmp_path / "x.cif"
    path.write_text(f"data_x\n{CORE_CELL}{SYMBOL}{loop(tags, hkl, np.ones(len(hkl)))}")
    with pytest.raises(InputError, match="only unmerged reflections"):
        read_crystal(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("code", [3, 4])
def test_embedded_hkl(
    tmp_path: Path,
    hkl: NDArray[np.int32],
    intensities: NDArray[np.float64],
    code: int,
    ending: str,
) -> None:
    value = intensities if code == 4 else np.sqrt(intensities)
    text = (
        f"data_x\n_shelx_res_file\n;\n{RES}HKLF {code}\nEND\n;\n_shelx_res_checksum 12\n"
        f"_shelx_hkl_file\n;\n{embedded(hkl, value)}\n;\n_shelx_hkl_checksum 34\n"
    )
    path = tmp_path / "x.cif"
    path.write_bytes(text.replace("\n", ending).encode())
    data = read_crystal(path)
    assert data.space_group.xhm() == "P 1 21 1"
    assert data.source == str(path)
    assert data.labels == (("I", "SIGI") if code == 4 else ("F", "SIGF"))
    assert data.notes[0] == "the SHELX file embedded in block x is used"
    np.testing.assert_allclose(data.f, np.sqrt(intensities), rtol=0.02)


def test_embedded_hkl_without_instructions(
    tmp_path: Path, hkl: NDArray[np.int32], intensities: NDArray[np.float64]
) -> None:
    path = tmp_path / "x.cif"
    content = f"_shelx_hkl_file\n;\n{embedded(hkl, intensities)}\n;\n"
    path.write_text(f"data_x\n{CORE_CELL}_space_group_IT_number 4\n{content}")
    data = read_crystal(path)
    assert any("taken as HKLF 4" in note for note in data.notes)
    np.testing.assert_allclose(data.f, np.sqrt(intensities), rtol=0.02)


def test_embedded_fcf(
    tmp_path: Path, hkl: NDArray[np.int32], intensities: NDArray[np.float64]
) -> None:
    names = core("F_squared_calc", "F_squared_meas", "F_squared_sigma")
    reflections = loop(names, hkl, intensities * 2, intensities, intensities / 50)
    fcf = f"data_y\n_shelx_title\n)\n made up\n)\n{CORE_CELL}{SYMBOL}{reflections}"
    path = tmp_path / "x.cif"
    path.write_text(f"data_x\n{CORE_CELL}_shelx_fcf_file\n;\n{fcf}\n;\n")
    data = read_crystal(path)
    assert data.notes[0] == "the embedded SHELX .fcf file is used"
    np.testing.assert_allclose(data.f, np.sqrt(intensities), rtol=0.02)


@pytest.mark.parametrize("text", ["nothing", "   1   2   3  what"])
def test_embedded_text_that_is_no_hkl(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.cif"
    path.write_text(f"data_x\n{CORE_CELL}{SYMBOL}_shelx_hkl_file\n;\n{text}\n;\n")
    with pytest.raises(InputError, match="embedded SHELX file of block x") as caught:
        read_crystal(path)
    assert "\n" not in str(caught.value)
