"""Cell and space group of the user against those of the file, and against its reflections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.errors import InputError

WriteMtz = Callable[..., Path]
CELL = (20.0, 23.0, 31.0, 90.0, 90.0, 90.0)
OTHER = gemmi.UnitCell(20.5, 23, 31, 90, 90, 90)


def listed(space_group: str, d_min: float = 2.5) -> np.ndarray:
    """Unique reflections of one space group's Laue class, its absences included."""
    group = gemmi.SpaceGroup(space_group)
    return np.array(gemmi.make_miller_array(gemmi.UnitCell(*CELL), group, d_min))


def intensities_in(space_group: str, hkl: np.ndarray, noise: float) -> np.ndarray:
    """Wilson's distribution with the absences of `space_group`, and errors."""
    rng = np.random.default_rng(6)
    absent = np.asarray(gemmi.SpaceGroup(space_group).operations().systematic_absences(hkl))
    i = rng.exponential(100, len(hkl))
    return np.where(absent, 0, i) + rng.normal(0, noise, len(hkl))


@pytest.fixture
def write(write_mtz: WriteMtz, tmp_path: Path) -> Callable[..., Path]:
    def written(hkl: np.ndarray, i: np.ndarray, noise: float, kind: str, group: str) -> Path:
        if kind == "F":
            f = np.sqrt(np.maximum(i, 0.01))
            columns = [("F", "F", f), ("SIGF", "Q", noise / (2 * f))]
        else:
            columns = [("I", "J", i), ("SIGI", "Q", np.full(len(i), noise))]
        return write_mtz(tmp_path / "x.mtz", hkl, columns, space_group=group)

    return written


@pytest.mark.parametrize("kind", ["F", "I"])
@pytest.mark.parametrize(
    ("true", "stated"), [("P 2 2 2", "P 21 21 21"), ("P 2 2 21", "P 21 21 21")]
)
def test_strong_absences_are_a_warning(
    write: Callable[..., Path], kind: str, true: str, stated: str
) -> None:
    hkl = listed("P 2 2 2")
    path = write(hkl, intensities_in(true, hkl, 2.0), 2.0, kind, stated)
    data = read_crystal(path)
    absent = np.asarray(gemmi.SpaceGroup(stated).operations().systematic_absences(hkl))
    (warning,) = (w for w in data.warnings if "systematic absences" in w)
    assert warning.startswith(
        f"{absent.sum()} of {len(hkl)} reflections are systematic absences of"
    )
    assert "the space group is probably another one" in warning
    assert not data.measured[absent].any()
    assert read_crystal(path, space_group=true).warnings == ()


@pytest.mark.parametrize("kind", ["F", "I"])
@pytest.mark.parametrize("noise", [2.0, 60.0])
def test_absences_of_the_right_group_are_a_note(
    write: Callable[..., Path], kind: str, noise: float
) -> None:
    hkl = listed("P 2 2 2")
    i = intensities_in("P 21 21 21", hkl, noise)
    absent = np.asarray(gemmi.SpaceGroup("P 21 21 21").operations().systematic_absences(hkl))
    i[np.flatnonzero(absent)[0]] = 300.0  # one by multiple diffraction
    data = read_crystal(write(hkl, i, noise, kind, "P 21 21 21"))
    assert data.warnings == ()
    assert any("systematically absent reflections of P 21 21 21 are not" in n for n in data.notes)


@pytest.mark.parametrize("kind", ["F", "I"])
@pytest.mark.parametrize("stated", ["C 2 2 2", "I 2 2 2", "F 2 2 2"])
def test_a_centring_that_the_data_contradict_is_refused(
    write: Callable[..., Path], kind: str, stated: str
) -> None:
    hkl = listed("P 2 2 2")
    path = write(hkl, intensities_in("P 21 21 21", hkl, 2.0), 2.0, kind, "P 21 21 21")
    with pytest.raises(InputError, match=r"x\.mtz: \d+ of \d+ .* give the right `space_group`"):
        read_crystal(path, space_group=stated)


def test_a_centred_lattice_listed_with_its_absences(write: Callable[..., Path]) -> None:
    hkl = listed("P 2 2 2")
    path = write(hkl, intensities_in("C 2 2 21", hkl, 2.0), 2.0, "I", "C 2 2 21")
    data = read_crystal(path)
    assert data.warnings == ()
    assert int(data.measured.sum()) < 0.6 * len(hkl)


def test_another_cell_is_a_note(write: Callable[..., Path]) -> None:
    hkl = listed("P 21 21 21")
    path = write(hkl, intensities_in("P 21 21 21", hkl, 2.0), 2.0, "I", "P 21 21 21")
    assert (
        "cell 20.5 23 31 90 90 90 used instead of the file's 20 23 31 90 90 90"
        in read_crystal(path, cell=OTHER).notes
    )
    same = gemmi.UnitCell(20.001, 23, 31, 90, 90, 90)
    assert not any("used instead" in note for note in read_crystal(path, cell=same).notes)


def test_another_space_group_is_a_note(write: Callable[..., Path]) -> None:
    hkl = listed("P 21 21 21")
    path = write(hkl, intensities_in("P 21 21 21", hkl, 2.0), 2.0, "I", "P 21 21 21")
    notes = read_crystal(path, space_group="P 21 21 2").notes
    assert "space group P 21 21 2 used instead of the file's P 21 21 21" in notes
