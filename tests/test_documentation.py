"""Agreement of the documentation with the program, and its links."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.methods import Phasing
from crysformer.evaluation.phases.score import PhaseScore
from crysformer.evaluation.phases.sets import PhaseEvaluation
from crysformer.evaluation.runner import Evaluation, Example
from crysformer.evaluation.scoring import N_SHELLS, Score
from crysformer.samples import SAMPLES
from crysformer.workflow.solve import solve_to_folder

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SUMMARY = ROOT / "docs" / "reference" / "summary.md"
METRICS = SUMMARY.with_name("metrics.md")
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Keys that pages of their own document.
ELSEWHERE = ("settings.", "validation.")
SAMPLE = next(sample for sample in SAMPLES if sample.name == "gf")


def keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, below in value.items():
            inside = f"{path}.{name}" if path else name
            yield inside
            yield from keys(below, inside)
    elif isinstance(value, list):
        for below in value:
            yield from keys(below, f"{path}[]")


def undocumented(summary: dict[str, Any], page: Path = SUMMARY) -> set[str]:
    named = set(re.findall(r"^\| `([^`]+)` \| \S", page.read_text(), re.MULTILINE))
    free = tuple(name.removesuffix("*") for name in named if name.endswith("*"))
    return {
        key
        for key in keys(json.loads(json.dumps(summary)))
        if key not in named and not key.startswith((*ELSEWHERE, *free))
    }


def test_every_key_of_a_summary_is_documented(tmp_path: Path) -> None:
    data = read_crystal(SAMPLE.data_path)
    _, summary = solve_to_folder(
        data, tmp_path / "out", SAMPLE.sequence, method="raar", time_limit=60.0, report_page=False
    )
    assert summary["solved"]
    assert undocumented(summary) == set()
    assert undocumented({**summary, "new": {"key": 1}}) == {"new", "new.key"}


@pytest.mark.slow
def test_every_key_of_a_built_model_is_documented(tmp_path: Path) -> None:
    data = read_crystal(SAMPLE.data_path)
    _, summary = solve_to_folder(
        data, tmp_path / "out", SAMPLE.sequence, time_limit=60.0, build_time_limit=100.0,
        report_page=False,
    )  # fmt: skip
    assert summary["refinement"]["n_residues"] == 2
    assert undocumented(summary) == set()


def test_every_key_of_metrics_is_documented() -> None:
    shells = np.ones(N_SHELLS)
    scored = Score(*[0.9] * 8, False, shells.astype(np.int64), shells, shells)
    phasing = Phasing(np.zeros(1), 1.0, claimed=True, confidence=0.9)
    example = Example("one", "GF", phasing, scored)
    found = Evaluation("solve", "test", 0, DataQuality(), [example])
    of_phases = PhaseEvaluation([PhaseScore("one", scored, 1, 1.0, ("F",), True, np.zeros(3))])
    metrics = {**found.metrics(), **of_phases.metrics()}
    assert {"false_claims", "shells", "crystals"} <= set(metrics)
    shown = {**metrics, "crystals": []}  # those and the rows have keys of their own
    assert undocumented(shown, METRICS) == set()
    rows = {**example.row(), **metrics["crystals"][0]}
    assert undocumented(rows, METRICS) == set()


def test_settings_are_those_of_the_program(load_script: Callable[[str], ModuleType]) -> None:
    made = load_script("docs/make_settings.py")
    assert made.PAGE.read_text(encoding="utf-8") == made.content()


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_every_page_is_in_the_navigation() -> None:
    navigation = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == navigation


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100
