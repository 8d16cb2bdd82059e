"""servalcat as a process: what it is given, what is read from it, and its failures."""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.dictionaries import Dictionaries, find_dictionaries
from crysformer.building.refinement import servalcat
from crysformer.building.refinement.refiner import RefinedStructure, RefinementFailed
from crysformer.building.refinement.servalcat import Servalcat, find_servalcat
from crysformer.building.shaking import shaken
from crysformer.crystal.io.read import read_crystal
from crysformer.testing import sample

SAMPLE = sample("5e5z")


def program(folder: Path, body: str) -> Servalcat:
    """A stand-in for servalcat: a Python script that sees its arguments as a dictionary."""
    path = folder / "servalcat"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, sys, time, shutil\n"
        "words = sys.argv[2:]\n"
        "given = {w: words[i + 1] for i, w in enumerate(words[:-1]) if w.startswith('-')}\n"
        "log = open('refined.log', 'w')\n"
        "print('# Servalcat ver. 9.8.7', file=log)\n" + body
    )
    path.chmod(0o755)
    return Servalcat(path, Dictionaries(folder, "a test"))


GOOD = """
import pathlib
pathlib.Path(%r).write_text(json.dumps({"words": words, "model": open("start.cif").read()}))
shutil.copy("data.mtz", %r)
shutil.copy("start.cif", "refined.mmcif")
first, summary = {"Rwork": 0.23, "Rfree": 0.25}, {"Rwork": 0.2, "Rfree": 0.25}
geometry = {"summary": {"r.m.s.d.": {"Bond distances, non H": 0.011, "Bond angles, non H": 1.5}}}
cycles = [{"data": {"summary": found}, "geom": geometry} for found in (first, summary)]
json.dump(cycles, open("refined_stats.json", "w"))
"""


def refine(program: Servalcat, limit: float = 60.0, **options: object) -> RefinedStructure:
    data = read_crystal(SAMPLE.data_path)
    free = np.arange(len(data)) % 10 == 0
    return program.refine(
        gemmi.read_structure(str(SAMPLE.model_path)),
        data,
        free,
        cycles=3,
        deadline=time.monotonic() + limit,
        **options,
    )


def test_what_it_is_given_and_what_is_read(tmp_path: Path) -> None:
    seen, mtz_path = tmp_path / "seen.json", tmp_path / "seen.mtz"
    refined = refine(program(tmp_path, GOOD % (str(seen), str(mtz_path))), displacement="aniso")
    assert (refined.program, refined.cycles) == ("servalcat 9.8.7", 3)
    assert refined.figures == pytest.approx(
        {"r_work": 0.2, "r_free": 0.25, "gain": 0.03, "rms_bonds": 0.011, "rms_angles": 1.5}
    )
    assert "Servalcat ver." in refined.log
    words = json.loads(seen.read_text())["words"]
    given = dict(itertools.pairwise(words))
    assert given["--source"] == "xray"
    assert given["--adp"] == "aniso"
    assert given["--hydrogen"] == "no"
    assert "--hout" not in words
    mtz, data = gemmi.read_mtz_file(str(mtz_path)), read_crystal(SAMPLE.data_path)
    flags = mtz.column_with_label("FREE").array
    assert mtz.nreflections == int(data.measured.sum())
    assert int((flags == int(given["--free"])).sum()) == int(data.measured[::10].sum())
    assert mtz.column_with_label("SIGF").array.min() > 0
    assert mtz.spacegroup.xhm() == data.space_group.xhm()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('Error: Provide restraint cif file(s) for FOO', file=log); sys.exit(1)",
         r"exit status 1: Error: Provide restraint cif file\(s\) for FOO"),
        ("raise RuntimeError('broken')", "exit status 1: RuntimeError: broken"),
        ("sys.exit(0)", "servalcat failed: exit status 0"),
        ("open('refined.mmcif', 'w').write('data_x')", "no atoms|cannot be read"),
        ("shutil.copy('start.cif', 'refined.mmcif'); open('refined_stats.json', 'w').write('[')",
         "statistics of servalcat cannot be read"),
        ("shutil.copy('start.cif', 'refined.mmcif'); open('refined_stats.json', 'w').write('{}')",
         "statistics of servalcat cannot be read"),
        ("time.sleep(60)", "stopped at the time limit, after 3 s"),
    ],
)  # fmt: skip
def test_a_failure_is_one_clear_line(tmp_path: Path, body: str, message: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RefinementFailed, match=message) as failure:
        refine(program(tmp_path, body), 3.0 if "sleep" in body else 60.0)
    assert "\n" not in str(failure.value)
    assert failure.value.log.startswith("$ ")
    assert time.monotonic() - begun < 30


def test_no_time_and_no_program(tmp_path: Path) -> None:
    with pytest.raises(RefinementFailed, match="no time was left"):
        refine(program(tmp_path, GOOD), 0.5)
    with pytest.raises(RefinementFailed, match="does not run"):
        refine(Servalcat(tmp_path / "none", Dictionaries(tmp_path, "a test")))


def test_it_is_found_on_the_path_and_beside_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = program(tmp_path, "").path
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_servalcat() == stand_in
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servalcat.sys, "executable", str(tmp_path / "python"))
    assert find_servalcat() == stand_in
    monkeypatch.setattr(servalcat.sys, "executable", str(tmp_path / "other" / "python"))
    assert find_servalcat() is None


@pytest.mark.external
def test_the_program_itself_refines_a_shaken_model() -> None:
    path = find_servalcat()
    assert path is not None
    dictionaries = find_dictionaries(beside=path)
    if dictionaries.library is None:
        pytest.skip("no monomer library")
    true, data = gemmi.read_structure(str(SAMPLE.model_path)), read_crystal(SAMPLE.data_path)
    start = shaken(true, 0.3, seed=0)
    refined = Servalcat(path, dictionaries).refine(
        start, data, np.arange(len(data)) % 10 == 0, cycles=8, deadline=time.monotonic() + 120
    )
    xyz, goal = (
        np.array([s.atom.pos.tolist() for s in x[0].all()]) for x in (refined.structure, true)
    )
    assert np.sqrt(((xyz - goal) ** 2).sum(1).mean()) < 0.2
    assert refined.figures["r_work"] < 0.25
    assert refined.program.startswith("servalcat 0.")
