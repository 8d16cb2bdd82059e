"""Bad input: one clear line on stderr, the right exit code, and nothing written."""

from __future__ import annotations

import errno
import gzip
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.samples import SAMPLES

GOOD = next(x.data_path for x in SAMPLES if x.name == "wk")  # a tight cell


def mtz_with(
    path: Path,
    columns: dict[str, tuple[str, float]],
    cell: gemmi.UnitCell | None = None,
    space_group: str = "P 1",
) -> Path:
    """An MTZ file with constant columns, label -> (type, value)."""
    cell = cell or gemmi.UnitCell(10, 9, 8, 90, 90, 90)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(space_group)
    mtz.set_cell_for_all(cell)
    mtz.add_dataset("test")
    mtz.set_cell_for_all(cell)
    hkl = gemmi.make_miller_array(gemmi.UnitCell(10, 9, 8, 90, 90, 90), mtz.spacegroup, 2.0)
    table = [hkl]
    for label, (kind, value) in columns.items():
        mtz.add_column(label, kind)
        table.append(np.full((len(hkl), 1), value))
    mtz.set_data(np.hstack(table).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


def missing(folder: Path) -> Path:
    return folder / "data.mtz"


def empty(folder: Path) -> Path:
    path = folder / "data.mtz"
    path.write_bytes(b"")
    return path


def truncated(folder: Path) -> Path:
    path = folder / "data.mtz"
    content = gzip.decompress(GOOD.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    return path


def truncated_gzip(folder: Path) -> Path:
    path = folder / "data.mtz.gz"
    path.write_bytes(GOOD.read_bytes()[:1000])
    return path


def not_mtz(folder: Path) -> Path:
    path = folder / "data.mtz"
    path.write_bytes(bytes(range(256)) * 40)
    return path


def coordinates(folder: Path) -> Path:
    path = folder / "data.mtz"
    path.write_bytes(SAMPLES[0].model_path.read_bytes())
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "data.mtz"
    path.mkdir()
    return path


def no_amplitudes(folder: Path) -> Path:
    return mtz_with(folder / "data.mtz", {"FREE": ("I", 1), "PHI": ("P", 0)})


def two_amplitudes(folder: Path) -> Path:
    columns = {"F1": ("F", 1.0), "S1": ("Q", 0.1), "F2": ("F", 2.0), "S2": ("Q", 0.1)}
    return mtz_with(folder / "data.mtz", columns)


def all_nan(folder: Path) -> Path:
    return mtz_with(folder / "data.mtz", {"F": ("F", np.nan), "SIGF": ("Q", np.nan)})


def negative(folder: Path) -> Path:
    return mtz_with(folder / "data.mtz", {"F": ("F", -5.0), "SIGF": ("Q", 1.0)})


def no_cell(folder: Path) -> Path:
    path = folder / "data.hkl"
    path.write_text("".join(f"{h:4d}{1:4d}{0:4d}{10.0:8.2f}{1.0:8.2f}\n" for h in range(1, 9)))
    return path


BAD_DATA: list[tuple[Callable[[Path], Path], str]] = [
    (missing, "no such file"),
    (empty, "is empty"),
    (truncated, "truncated or broken"),
    (truncated_gzip, "truncated or broken"),
    (not_mtz, "neither MTZ"),
    (coordinates, "expected reflections"),
    (a_folder, "is a folder"),
    (no_amplitudes, "no "),
    (two_amplitudes, "--labin F1,S1"),
    (all_nan, "no "),
    (negative, "negative"),
    (no_cell, "--cell"),
]

COMMANDS = {
    "solve": ["solve", "--sequence", "WK"],
    "predict": ["predict", "--sequence", "WK"],
}


def one_error(captured: pytest.CaptureFixture[str]) -> str:
    """The only error line; notes and warnings of reading may stand before it."""
    out, err = captured.readouterr()
    assert out == ""
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert err.endswith(errors[0] + "\n")
    assert "internal error" not in err
    return errors[0]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("make", "message"), BAD_DATA, ids=lambda x: getattr(x, "__name__", ""))
def test_bad_reflections(
    command: str,
    make: Callable[[Path], Path],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = make(tmp_path)
    out = tmp_path / "new" / "out"
    assert main([*COMMANDS[command], str(data), "-o", str(out)]) == 1
    line = one_error(capsys)
    assert message in line
    assert data.name in line
    assert not out.parent.exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--sequence", "W?K"], 2, "'?'"),
        (["--sequence", "no/such.fasta"], 1, "no such file"),
        (["--cell", "10,9,8"], 2, "six numbers"),
        (["--cell", "10,9,8,90,0,90"], 2, "angles between 0 and 180"),
        (["--cell", "10,nan,8,90,90,90"], 2, "lengths above 0"),
        (["--space-group", "P22"], 2, "unknown space group 'P22'"),
        (["--sequence", "GLY PHE QQW"], 2, "QQW among three-letter names"),
        (["--cell", "10,9,8,90,90,91", "--space-group", "P 21 21 21"], 1, "contradicts"),
        (["--space-group", "P 99"], 2, "P 99"),
        (["--labin", "FP,SIGFP"], 1, "FP"),
        (["--radiation", "neutron"], 2, "neutron"),
    ],
    ids=lambda x: " ".join(x)[:40] if isinstance(x, list) else "",
)
def test_bad_options(
    command: str,
    options: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "new" / "out"
    assert main([*COMMANDS[command], str(GOOD), "-o", str(out), *options]) == status
    assert message in one_error(capsys)
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--sequence", "W" * 60], 1, "atoms"),
        (["--copies", "0"], 2, "--copies is 0"),
        (["--copies", "50"], 1, "copies"),
        (["--time-limit", "0"], 2, "--time-limit: expected seconds above zero, found '0'"),
        (["--time-limit", "-3"], 2, "--time-limit: expected seconds above zero, found '-3'"),
        (["--device", "tpu"], 2, "--device tpu"),
        (["--method", "guessing"], 2, "guessing"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_solver_options(
    options: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "new" / "out"
    argv = ["solve", str(GOOD), "--sequence", "WK", "-o", str(out), *options]
    assert main(argv) == status
    assert message in one_error(capsys)
    assert not out.parent.exists()


@pytest.mark.parametrize("method", ["network", "sequence"])
def test_method_without_the_sequence_that_it_needs(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["solve", str(GOOD), "-o", str(tmp_path / "out"), "--method", method]) == 1
    message = f"--method {method} is not applicable: it needs --sequence, and none is given"
    assert message in one_error(capsys)
    assert not (tmp_path / "out").exists()


def test_output_that_is_not_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["solve", str(GOOD), "-o", str(tmp_path)]) == 2
    assert "--overwrite" in one_error(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_output_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out"
    target.write_text("mine")
    assert main(["solve", str(GOOD), "-o", str(target), "--overwrite"]) == 2
    assert "is a file" in one_error(capsys)
    assert target.read_text() == "mine"


ATOM = "ATOM      1  CA  ALA A   1      11.000  12.000  13.000  1.00 20.00           C\n"


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (
            ["dataset", "build", "{}/none.pdb", "--recipe", "dipeptide", "-o", "{}/out"],
            1,
            "none.pdb",
        ),
        (["dataset", "build", "{}/empty.pdb", "--recipe", "dipeptide", "-o", "{}/out"], 1, "empty"),
        (["dataset", "build", "{}/one.pdb", "--recipe", "tripeptide", "-o", "{}/out"], 2, "choice"),
        (["dataset", "build", "{}/one.pdb", "--recipe", "fifteen", "-o", "{}"], 2, "not empty"),
        (["dataset", "check", "{}/none"], 1, "none"),
        (["dataset", "export", "{}", "--format", "mtz", "-o", "{}/out"], 1, "manifest.json"),
        (["dataset"], 2, "required"),
        (
            ["train", "--preset", "dipeptide-small", "--data", "{}", "-o", "{}/out"],
            1,
            "manifest.json",
        ),
        (["train", "--config", "{}/none.toml", "--data", "{}", "-o", "{}/out"], 1, "none.toml"),
        (["train", "--preset", "huge", "--data", "{}", "-o", "{}/out"], 2, "huge"),
        (["train", "--data", "{}", "-o", "{}/out"], 2, "required"),
    ],
    ids=lambda x: " ".join(x[:3]) if isinstance(x, list) else "",
)
def test_bad_requests_of_other_commands(
    argv: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty.pdb").write_text("")
    (tmp_path / "one.pdb").write_text(ATOM)
    assert main([part.replace("{}", str(tmp_path)) for part in argv]) == status
    assert message in one_error(capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.pdb", "one.pdb"]


def quick_solve(out: Path) -> list[str]:
    return ["solve", str(GOOD), "--sequence", "WK", "--time-limit", "2", "-q", "-o", str(out)]


def test_full_disk_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    out = tmp_path / "new" / "out"
    assert main(quick_solve(out)) == 1
    assert "No space left on device" in one_error(capsys)
    assert not out.parent.exists()


def test_full_disk_keeps_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "summary.json").write_text("old")
    monkeypatch.setattr(Path, "replace", full)
    assert main([*quick_solve(tmp_path), "--overwrite"]) == 1
    one_error(capsys)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("summary.json", "old")]


def test_interruption_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import crysformer.workflow.solve

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(crysformer.workflow.solve, "solve", interrupted)
    out = tmp_path / "new" / "out"
    assert main(quick_solve(out)) == 130
    assert one_error(capsys) == "crysformer: error: interrupted"
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("prefix", "status", "message"),
    [
        ("{}/file/out", 2, "is a file"),
        ("{}/taken", 2, "taken.ccp4: is a folder"),
        ("{}/..", 2, "expected the beginning of file names"),
    ],
)
def test_predict_looks_at_its_output_first(
    prefix: str,
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_early(*args: object, **options: object) -> None:
        raise AssertionError("the network ran before the output was looked at")

    monkeypatch.setattr("crysformer.phasing.network.predict.predict", too_early)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "taken.ccp4").mkdir()
    argv = ["predict", str(GOOD), "--sequence", "WK", "-o", prefix.replace("{}", str(tmp_path))]
    assert main(argv) == status
    assert message in one_error(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.ccp4"]
