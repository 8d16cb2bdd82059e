"""Blocks, crystals and wavelengths of a reflection CIF, and the radiation it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError

CELL = """\
_cell.length_a 20.0
_cell.length_b 23.0
_cell.length_c 31.0
_cell.angle_alpha 90.0
_cell.angle_beta  90.0
_cell.angle_gamma 90.0
_symmetry.space_group_name_H-M 'P 21 21 21'
"""


def block(
    name: str, n: int, values: str = "F_meas_au F_meas_sigma_au", ids: str = "", extra: str = ""
) -> str:
    """A block with `n` reflections (1 2 l), as many for each "crystal wavelength" in `ids`."""
    tags = ["index_h", "index_k", "index_l", *values.split()]
    groups = ids.split(",") if ids else [""]
    tags += ["crystal_id", "wavelength_id"] if ids else []
    pairs = len(values.split()) // 2
    rows = [
        " ".join([f"1 2 {l}", *[str(10 * (i + 1) + l), "1.0"] * pairs, g])
        for i, g in enumerate(groups)
        for l in range(1, n + 1)  # noqa: E741
    ]
    loop = "loop_\n" + "".join(f"_refln.{tag}\n" for tag in tags)
    return f"data_{name}\n{CELL}{extra}{loop}" + "\n".join(rows) + "\n"


def read(folder: Path, text: str, **options: object) -> CrystalData:
    path = folder / "x.cif"
    path.write_text(text)
    return read_crystal(path, **options)  # type: ignore[arg-type]


def test_other_blocks_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    text = (
        block("one", 9) + block("two", 7, "intensity_meas intensity_sigma") + "data_three\n_x 1\n"
    )
    data = read(tmp_path, text)
    assert len(data) == 9
    assert data.data_set == "one"
    assert data.warnings == ()
    assert data.notes == (
        "of 2 data sets, one (9 amplitudes) is used; others: two (7 intensities); to choose give "
        "`block` two",
    )
    two = read(tmp_path, text, block="two")
    assert (len(two), two.kind, two.data_set) == (7, "intensities", "two")
    with pytest.raises(InputError, match=r"no block three .*the file has one \(9 amp.*, two \(7"):
        read(tmp_path, text, block="three")


def test_a_small_first_block_is_warned_of(tmp_path: Path) -> None:
    data = read(tmp_path, block("a", 3) + block("b", 20) + block("c", 5))
    assert len(data) == 3
    assert "a (3 amplitudes) is used" in data.warnings[0]
    assert data.warnings[0].endswith("`block` b")
    assert read(tmp_path, block("a", 11) + block("b", 20)).warnings == ()


def test_crystals_and_wavelengths(tmp_path: Path) -> None:
    text = block(
        "x", 5, ids="1 1,1 2,2 1",
        extra="loop_\n_diffrn_radiation_wavelength.id\n_diffrn_radiation_wavelength.wavelength\n"
        "1 0.9793\n2 1.5418\n",
    )  # fmt: skip
    data = read(tmp_path, text)
    assert data.f[0] == 11.0
    assert data.data_set == "x/1/1"
    assert "others: x/1/2 (5 amplitudes), x/2/1 (5 amplitudes)" in data.notes[0]
    assert data.wavelength == pytest.approx(0.9793)
    for name, first, wavelength in (("x/1/2", 21.0, 1.5418), ("x/2", 31.0, 0.9793)):
        other = read(tmp_path, text, block=name)
        assert other.f[0] == first
        assert other.wavelength == pytest.approx(wavelength)


def test_one_block_needs_no_name(tmp_path: Path) -> None:
    data = read(tmp_path, block("x", 5))
    assert (data.data_set, data.notes, data.warnings) == ("", (), ())
    assert len(read(tmp_path, block("x", 5), block="x")) == 5


def test_a_block_of_no_cif(tmp_path: Path) -> None:
    (tmp_path / "x.hkl").write_text("   1   2   3  100.00    1.00\n")
    with pytest.raises(InputError, match="not a CIF file, so `block` b has no meaning"):
        read_crystal(tmp_path / "x.hkl", block="b")


WAVELENGTH = "_diffrn_radiation_wavelength.wavelength "


@pytest.mark.parametrize(
    ("extra", "radiation", "says"),
    [
        (WAVELENGTH + "0.0251\n", "xray", "0.0251 A means electrons, but xray"),
        (WAVELENGTH + "0.0197\n", "electron", None),
        (WAVELENGTH + "0.71073\n", "xray", None),
        (WAVELENGTH + "1.5418\n", "electron", "1.5418 A means X-rays, but electron"),
        (WAVELENGTH + "?\n", "xray", None),
        ("_exptl.method 'ELECTRON CRYSTALLOGRAPHY'\n", "xray", "the method of the file means elec"),
        ("_exptl.method 'ELECTRON CRYSTALLOGRAPHY'\n", "electron", None),
        ("_exptl.method 'X-RAY DIFFRACTION'\n", "xray", None),
        ("_exptl.method 'NEUTRON DIFFRACTION'\n", "xray", "neutron scattering factors are not"),
    ],
)
def test_radiation(tmp_path: Path, extra: str, radiation: str, says: str | None) -> None:
    warnings = read(tmp_path, block("x", 5, extra=extra), radiation=radiation).warnings
    if says is None:
        assert warnings == ()
    else:
        assert says in warnings[0]
        assert "neutron" in says or warnings[0].endswith(
            "`radiation` " + ("electron" if radiation == "xray" else "xray")
        )
