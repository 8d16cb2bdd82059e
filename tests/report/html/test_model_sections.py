"""What the report says of a built model."""

from __future__ import annotations

import json
from pathlib import Path

from crysformer.report.html import html_report


def test_a_built_model_is_described(solved: Path) -> None:
    summary = json.loads((solved / "summary.json").read_text())
    validation, refinement = summary["validation"], summary["refinement"]
    page = html_report(solved)
    assert ">A 1 GLY</button>" in page
    assert refinement["program"] in page
    assert f"{refinement['r_work']:.3f}" in page
    for entry in validation["map_correlation"]["residues"]:
        assert f"<td>{entry['correlation']:.3f}</td>" in page
    assert "rms deviation of bonds / A" in page


def test_remarks_stand_beside_their_residues(solved: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "remarks"
    shutil.copytree(solved, folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["validation"]["rotamers"]["outliers"] = [{"chain": "A", "residue": "2", "name": "PHE"}]
    ends = {"chain": "A", "residue": "1", "name": "GLY", "atom": "O"}
    summary["validation"]["clashes"]["list"] = [{"first": ends, "second": {**ends, "residue": "2"}}]
    summary["validation"]["difference_peaks"]["list"] = [
        {"height": 5.2, "xyz": [1, 2, 3], "nearest": ends, "distance": 1.1}
    ]
    (folder / "summary.json").write_text(json.dumps(summary))
    page = html_report(folder)
    assert "rotamer outlier" in page
    assert "O clashes with A 2 GLY O" in page
    assert "+5.2 sigma" in page
    assert "1.1 A from A 1 GLY O" in page


def test_a_model_that_was_not_built_says_why(solved: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "failed"
    shutil.copytree(solved, folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["refinement"] = {"failure": "no <dictionary>", "seconds": 1.0}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "No model was built: no &lt;dictionary&gt;" in html_report(folder)
