"""The page of a result folder, and of a list."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.errors import InputError
from crysformer.report.html import html_report
from crysformer.report.html.words import hand, verdict
from crysformer.version import __version__
from crysformer.workflow.reports import write_reports


class Outline(HTMLParser):
    """Elements of a page; checks that they are closed in order."""

    VOID = ("meta", "link", "img", "br", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [str(given[name]) for name in ("src", "srcset", "data") if name in given]
        if tag == "link":
            self.loaded.append(str(given.get("href")))
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.anchors.append(str(given.get("href")))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def test_a_page_is_complete_and_loads_nothing(solved: Path) -> None:
    page = (solved / "report.html").read_text(encoding="utf-8")
    assert len(page) < 3e6
    found = outline(page)
    assert found.loaded == []
    assert len(set(found.ids)) == len(found.ids)
    for anchor in found.anchors:
        assert anchor.startswith("#")
        assert anchor[1:] in found.ids
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "://" not in own
    for text in ("Solved", "raar", "Completeness", "L-test", "Candidates, best first"):
        assert text in own
    assert f"crysformer {__version__}; Python 3." in own
    assert "R-work is that of the refined model" in own
    assert own.count("free set ") == 1, "told with the model, not again among the notes"
    assert json.loads((solved / "summary.json").read_text())["course"][0]["method"]


def test_text_of_files_is_escaped(solved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<b>name"
    shutil.copytree(solved, folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["notes"] = ["<script>alert(1)</script>"]
    summary["space_group"] = '<img src="x">'
    (folder / "summary.json").write_text(json.dumps(summary))
    page = html_report(folder)
    assert outline(page).loaded == []
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>name" not in page


def test_commands_of_the_page_can_be_pasted(solved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    shutil.copytree(solved, folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["program"]["command"] = "crysformer solve 'my data.mtz' -o out"
    summary["proposed_sequence"] = {"sequence": "GF"}
    summary["input"]["sequence"] = []
    (folder / "summary.json").write_text(json.dumps(summary))
    page = unescape(html_report(folder))
    assert "<pre>crysformer solve 'my data.mtz' -o out</pre>" in page
    assert f"crysformer build '{folder}' --sequence proposed -o NEW" in page
    summary["solved"] = False
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "<code>--resume</code> goes on" in html_report(folder)


def test_an_unsolved_page_warns(solved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unsolved"
    shutil.copytree(solved, folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(
        json.dumps({**summary, "solved": False, "confidence": 0.1})
    )
    page = html_report(folder)
    assert "Not solved" in page
    assert "this density is most probably wrong" in page


@pytest.mark.parametrize(
    ("solved", "confidence", "headline"),
    [
        (True, 0.97, "Solved"),
        (False, 0.7, "Not solved, with a promising candidate"),
        (False, 0.02, "Not solved"),
    ],
)
def test_verdicts_in_words(solved: bool, confidence: float, headline: str) -> None:
    found, text = verdict({"solved": solved, "confidence": confidence})
    assert found == headline
    assert f"{confidence:.2f}" in text


def test_the_hand_in_words() -> None:
    assert hand({}) == ""
    assert hand({"hand_probability": 0.99, "solved": False}) == ""
    assert "as shown" in hand({"hand_probability": 0.99})
    assert "not determined" in hand({"hand_probability": 0.5})
    assert "probably" in hand({"hand_probability": 0.8})


def test_folders_that_hold_no_solution(
    tmp_path: Path, solved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "expected a folder written by crysformer solve" in capsys.readouterr().err
    shutil.copytree(solved, tmp_path / "cut")
    (tmp_path / "cut" / "solution.mtz").write_bytes(b"MTZ")
    with pytest.raises(InputError, match="cannot be read"):
        html_report(tmp_path / "cut")
    (tmp_path / "cut" / "summary.json").write_text('{"n": 1}')
    with pytest.raises(InputError, match="no verdict"):
        html_report(tmp_path / "cut")


def test_a_list_has_a_page_that_links_to_its_crystals(solved: Path, tmp_path: Path) -> None:
    shutil.copytree(solved, tmp_path / "a b")
    crystals = [
        {"name": "a b", "status": "solved", "confidence": 0.99, "method": "raar"},
        {"name": "broken", "status": "failed", "message": "no <such> file"},
        {"name": "../elsewhere", "status": "solved"},
    ]
    (tmp_path / "results.json").write_text(json.dumps({"n": 3, "crystals": crystals}))
    written = write_reports(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "report.html", "a b/report.html",
    ]  # fmt: skip
    page = written[0].read_text(encoding="utf-8")
    found = outline(page)
    assert [a for a in found.anchors if not a.startswith("#")] == ["a%20b/report.html"]
    assert "no &lt;such&gt; file" in page
    assert "2 solved, 0 not solved, 1 failed" in page


def test_data_file_and_sequence_stand_at_the_top(solved: Path) -> None:
    page = html_report(solved)
    assert "<h1>gly-phe: gf.mtz.gz, GF</h1>" in page
    assert "<dt>sequence</dt><dd>GF</dd>" in page
