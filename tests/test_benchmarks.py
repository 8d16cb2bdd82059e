"""The scripts in benchmarks/: they start from any folder, and reproduce what the package ships."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


RUN_ALL = """
import contextlib, io, runpy, sys
from pathlib import Path
for script in sys.argv[1:]:
    sys.path[0], sys.argv, out = str(Path(script).parent), [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            assert not stop.code, (script, stop.code)
    assert f"usage: {Path(script).name}" in out.getvalue(), script
"""


def test_each_script_shows_its_help_from_any_folder(tmp_path: Path) -> None:
    # one process for all of them: most of the time goes into importing torch
    command = [sys.executable, "-c", RUN_ALL, *map(str, SCRIPTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not os.listdir(tmp_path)


def test_the_stored_rows_give_the_shipped_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from calibrate_confidence import KINDS, fitted

    rows = []
    for name in ("confidence-rows.tsv", "sequence-rows.tsv"):
        with (ROOT / "benchmarks" / name).open(newline="") as stream:
            rows += list(csv.DictReader(stream, delimiter="\t"))
    text = resources.files("crysformer.phasing.merit").joinpath("confidence.json").read_text()
    shipped = json.loads(text)
    for kind in KINDS:
        found = fitted(kind, [row for row in rows if row["kind"] == kind])
        assert found["candidates"] == shipped[kind]["candidates"]
        assert found["crystals"] == shipped[kind]["crystals"]
        assert found["intercept"] == pytest.approx(shipped[kind]["intercept"], rel=2e-3)
        assert found["coefficients"] == pytest.approx(shipped[kind]["coefficients"], rel=2e-3)
