"""What was read is said: columns, data set, free flags, wavelength, and what is doubtful."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.samples import SAMPLES

GF = next(sample for sample in SAMPLES if sample.name == "gf")


@pytest.fixture
def mtz(tmp_path: Path) -> Path:
    """The bundled Gly-Phe with free flags, a wavelength of electrons, and a difference."""
    source = gemmi.read_mtz_file(str(GF.data_path))
    made = gemmi.Mtz(with_base=True)
    made.spacegroup, made.cell = source.spacegroup, source.cell
    made.add_dataset("peak").wavelength = 0.0251
    made.set_cell_for_all(source.cell)
    n = source.nreflections
    f, sigma = (np.array(source.column_with_label(label).array) for label in ("F", "SIGF"))
    columns = {
        "FP": ("F", f), "SIGFP": ("Q", sigma), "DANO": ("F", np.linspace(0.1, 1, n)),
        "SIGDANO": ("Q", sigma), "FreeR_flag": ("I", np.arange(n) % 20),
    }  # fmt: skip
    for label, (type_, _) in columns.items():
        made.add_column(label, type_)
    hkl = source.make_miller_array()
    made.set_data(np.column_stack([hkl, *(v for _, v in columns.values())]).astype(np.float32))
    path = tmp_path / "x.mtz"
    made.write_to_file(str(path))
    return path


def test_info_names_what_was_read(mtz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(mtz), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["columns"] == ["FP", "SIGFP"]
    assert found["kind"] == "amplitudes"
    assert found["data_set"].endswith("/peak")
    assert found["free_set"] == "FreeR_flag"
    assert found["wavelength"] == pytest.approx(0.0251)
    assert found["space_group"] == "P 1"
    assert len(found["cell"]) == 6
    assert found["n_reflections"] == found["reflections"] == found["completeness"]["possible"]
    assert any("give --radiation electron" in warning for warning in found["warnings"])
    assert "DANO, SIGDANO not used" in captured.err
    assert main(["info", str(mtz)]) == 0
    printed = capsys.readouterr().out
    assert "columns      FP, SIGFP (amplitudes) of " in printed
    assert "wavelength   0.0251 A" in printed
    assert "free set     FreeR_flag" in printed
    assert "warning: a wavelength of 0.0251 A means electrons" in printed


def test_solve_says_and_stores_it(
    mtz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["solve", str(mtz), "--time-limit", "1", "-o", str(out)]) == 0
    log = capsys.readouterr().err
    assert "columns: FP, SIGFP (amplitudes) of " in log
    assert "give --radiation electron" in log
    summary = json.loads((out / "summary.json").read_text())
    assert summary["data"]["columns"] == ["FP", "SIGFP"]
    assert summary["data"]["free_set"] == "FreeR_flag"
    assert not any("`" in note for note in summary["notes"] + summary["data"]["warnings"])


def test_a_block_needs_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--block", "x"]) == 2
    assert "--block needs DATA" in capsys.readouterr().err
    assert main(["info", str(GF.data_path), "--block", "x"]) == 1
    assert "not a CIF file, so --block x has no meaning" in capsys.readouterr().err
