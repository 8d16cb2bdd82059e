"""Adapters of other programs: what they write, what they read from real logs, and their runs.

The logs are short excerpts. shelxe: the listing in swamp/parsers/tests/test_shelxe_parser.py of
https://github.com/rigdenlab/SWAMP (SHELXE 2019/1). ModelCraft: the report of its version 6.1.1 in
the test of the modelcraft wrapper of ccp4i2. phenix.autobuild: single lines of AutoBuild logs as
quoted by the log reader of the Phenix AI agent, so they are of several runs; and REMARK 3 of the
PHENIX model 5GOB.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.building.programs.autobuild import Autobuild, read_log
from crysformer.evaluation.building.programs.known import chosen_programs
from crysformer.evaluation.building.programs.modelcraft import Modelcraft
from crysformer.evaluation.building.programs.program import (
    BuildingProgram,
    ProgramFigures,
    ProgramJob,
    require_programs,
    run_program,
)
from crysformer.evaluation.building.programs.shelxe import Shelxe

SHELXE_LOG = """
       141 residues left after pruning, divided into chains as follows:
     A:  12   B:   9   C:   8   D:   8   E:   7   F:  10   G:   9   H:   8   I:   7

     CC for partial structure against native data =  17.52 %

     Estimated mean FOM = 0.375   Pseudo-free CC = 43.82 %

     Best trace (cycle 3 with CC 20.64%) was saved as shelxe-input.pdb
"""
SHELXE_TITLE = "TITLE  shelxe-input.pdb   Cycle  19   CC = 20.64%   183  residues in  14  chains\n"
MODELCRAFT_REPORT = """{"version": "6.1.1", "termination_reason": "Normal",
 "cycles": [{"cycle": 1, "residues": 208, "protein": 208, "nucleic": 0, "waters": 120,
             "r_work": 0.21, "r_free": 0.238},
            {"cycle": 2, "residues": 207, "protein": 207, "nucleic": 0, "waters": 145,
             "r_work": 0.204, "r_free": 0.234}],
 "final": {"cycle": 2, "residues": 207, "protein": 207, "nucleic": 0, "waters": 145,
           "r_work": 0.204, "r_free": 0.234}}
"""
AUTOBUILD_LOG = """
Cycle 2  R/Rfree=0.20/0.23  Built=125  Placed=125 Resolution=2.5 A
Best solution on cycle: 2    R/Rfree=0.20/0.23
"""
AUTOBUILD_MODEL = """REMARK   3   R VALUE     (WORKING + TEST SET) : 0.193
REMARK   3   R VALUE            (WORKING SET) : 0.191
REMARK   3   FREE R VALUE                     : 0.229
REMARK   3   FREE R VALUE TEST SET SIZE   (%) : 5.150
"""


@pytest.fixture
def job(crystal: SyntheticCrystal, tmp_path: Path) -> ProgramJob:
    folder = tmp_path / "job"
    folder.mkdir()
    data = crystal.data
    return ProgramJob(data, crystal.phi_true, free_set(data), (crystal.sequence,), folder)


def install(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program on the PATH that is a shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def run(program: BuildingProgram, crystal: SyntheticCrystal, limit: float = 30.0) -> ProgramFigures:
    data = crystal.data
    return run_program(program, data, crystal.phi_true, free_set(data), (crystal.sequence,), limit)[
        0
    ]


def test_shelxe_reads_what_it_is_given(
    crystal: SyntheticCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "test -f map.hkl && test -f map.ins && test -f map.phi || exit 3\n"
        f"echo '{SHELXE_TITLE.strip()}' > map.pdb\ncat <<'END'\n{SHELXE_LOG}END\n"
    )
    install(tmp_path / "bin", "shelxe", script, monkeypatch)
    require_programs([Shelxe()])
    assert run(Shelxe(), crystal) == ProgramFigures(cc=0.2064, n_residues=183)


def test_input_of_shelxe(job: ProgramJob) -> None:
    name, *options = Shelxe().command(job)
    assert name == "map.phi"
    assert options[0] == "-a4"
    assert 0 < float(options[1].removeprefix("-s")) < 1
    assert options[2] == "-f"  # amplitudes
    rows = (job.folder / "map.phi").read_text().splitlines()
    found = {
        (int(r[:4]), int(r[4:8]), int(r[8:12])): (float(r[12:21]), float(r[29:37])) for r in rows
    }
    assert len(found) == int(job.data.measured.sum())
    for hkl, f, phi in zip(job.data.hkl.tolist(), job.data.f, job.phi, strict=True):
        amplitude, phase = found[tuple(hkl)]
        assert amplitude == pytest.approx(f, abs=0.006)
        assert np.cos(np.radians(phase - phi)) > 0.9999
    written = read_crystal(job.folder / "map.hkl")  # its cell is that of map.ins
    assert written.cell.approx(job.data.cell, 1e-3)
    ours = {tuple(hkl): f for hkl, f in zip(job.data.hkl.tolist(), job.data.f, strict=True)}
    scale = np.array(
        [f / ours[tuple(h)] for h, f in zip(written.hkl.tolist(), written.f, strict=True)]
    )
    assert scale == pytest.approx(np.median(scale), rel=0.01)


def test_autobuild(
    crystal: SyntheticCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        f"mkdir AutoBuild_run_1_\ncat > AutoBuild_run_1_/overall_best.pdb <<'END'\n"
        f"{AUTOBUILD_MODEL}END\ncat <<'END'\n{AUTOBUILD_LOG}END\n"
    )
    install(tmp_path / "bin", "phenix.autobuild", script, monkeypatch)
    found = run(Autobuild(), crystal)
    assert found == ProgramFigures(0.191, 0.229, n_residues=125, n_placed=125)


def test_logs_of_autobuild() -> None:
    assert read_log(AUTOBUILD_LOG) == ProgramFigures(0.20, 0.23, n_residues=125, n_placed=125)
    alone = read_log("Best solution on cycle: 14    R/Rfree=0.38/0.42\n")
    assert alone == ProgramFigures(0.38, 0.42)
    nothing = "Cycle 2  R/Rfree=999.90/999.90  Built=0  Placed=0 Resolution=2.1 A\n"
    assert read_log(nothing) is None
    assert read_log(nothing + "Best solution on cycle: 2    R/Rfree=999.90/999.90\n") is None


def test_input_of_autobuild(job: ProgramJob) -> None:
    assert Autobuild().command(job) == [
        "seq_file=seq.fasta", "data=amplitudes.mtz", "map_file=map.mtz",
    ]  # fmt: skip
    of_map = gemmi.read_mtz_file(str(job.folder / "map.mtz"))
    assert of_map.column_labels() == ["H", "K", "L", "FWT", "PHWT"]
    amplitudes = gemmi.read_mtz_file(str(job.folder / "amplitudes.mtz"))
    assert amplitudes.column_labels() == ["H", "K", "L", "F", "SIGF", "FreeR_flag"]
    assert job.sequences[0] in (job.folder / "seq.fasta").read_text()


def test_modelcraft(
    crystal: SyntheticCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'test "$1" = xray || exit 2\nmkdir modelcraft\n'
        f"cat > modelcraft/modelcraft.json <<'END'\n{MODELCRAFT_REPORT}END\n"
    )
    install(tmp_path / "bin", "modelcraft", script, monkeypatch)
    assert run(Modelcraft(), crystal) == ProgramFigures(0.204, 0.234, n_residues=207)


def test_input_of_modelcraft(job: ProgramJob) -> None:
    arguments = Modelcraft().command(job)
    labels = gemmi.read_mtz_file(str(job.folder / "data.mtz")).column_labels()
    for option in ("--observations", "--phases", "--freerflag"):
        assert set(arguments[arguments.index(option) + 1].split(",")) <= set(labels)


@pytest.mark.parametrize(
    ("program", "script", "message"),
    [
        (Shelxe(), "echo ' ** Unable to trace map - giving up **'", "unable to trace the map"),
        (Shelxe(), "echo no licence >&2; exit 4", "no licence"),
        (Autobuild(), "exit 1", "exit code 1"),
        (Autobuild(), "echo 'Best solution on cycle: 1 R/Rfree=999.90/999.90'", "no model"),
        (
            Modelcraft(),
            'mkdir modelcraft; echo \'{"termination_reason": "No residues built"}\' '
            "> modelcraft/modelcraft.json",
            "No residues built",
        ),
        (
            Modelcraft(),
            'mkdir modelcraft; echo \'{"final": {"r_work": "?"}}\' > modelcraft/modelcraft.json',
            "not the report",
        ),
        (Modelcraft(), "mkdir modelcraft; echo '{' > modelcraft/modelcraft.json", "not readable"),
    ],
)
def test_programs_that_fail_are_one_line(
    program: BuildingProgram,
    script: str,
    message: str,
    crystal: SyntheticCrystal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path / "bin", program.name, script, monkeypatch)
    with pytest.raises(CrysformerError, match=message) as error:
        run(program, crystal)
    assert "\n" not in str(error.value)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(
    crystal: SyntheticCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "child"
    script = f"(sleep 2; touch {started}) &\nsleep 60\n"
    install(tmp_path / "bin", "shelxe", script, monkeypatch)
    with pytest.raises(CrysformerError, match="stopped at the limit"):
        run(Shelxe(), crystal, limit=0.5)
    time.sleep(2.2)
    assert not started.exists()


def test_programs_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="shelxe is not on the PATH"):
        require_programs(chosen_programs("shelxe"))
    with pytest.raises(UsageError, match=r"expected some of phenix\.autobuild"):
        chosen_programs("arpwarp")
    assert chosen_programs(None) == ()
