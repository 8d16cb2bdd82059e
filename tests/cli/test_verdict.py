"""What `crysformer solve` prints of a solution."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crysformer.cli import main
from crysformer.cli._verdict import (
    candidates_table,
    figures_table,
    model_line,
    space_groups_line,
    verdict,
)
from crysformer.crystal.io.read import read_crystal
from crysformer.phasing.origin.space_group_ranking import SpaceGroupFigures
from crysformer.phasing.solution import Solution
from crysformer.phasing.solver import solve
from crysformer.testing import sample
from crysformer.wording import hand_text

REAL, SMALL = sample("5e5z"), sample("gf")
SEQUENCE_FIGURES = {
    "r": 0.1514, "correlation": 0.81, "overlap": 0.2, "log_likelihood_gain": 0.4204,
    "z_free_correlation": 6.5, "reflections_per_parameter": 4.2, "noise": 0.03,
}  # fmt: skip
DENSITY_FIGURES = {"r": 0.0514, "free_correlation": 0.8, "noise": 0.03, "reflections_per_volume": 1}

PROPOSAL = {
    "sequence": "GF",
    "inverted": False,
    "chains": [{"sequence": "GF", "copies": 1, "probability": [0.9, 0.9], "letters": [{}, {}]}],
}


def summary(refinement: dict[str, Any] | None = None) -> dict[str, Any]:
    figures = (("sequence", 0.99, SEQUENCE_FIGURES), ("raar", 0.1, DENSITY_FIGURES))
    return {
        "refinement": refinement,
        "candidates": [{"method": m, "confidence": c, "figures": f} for m, c, f in figures],
    }


def test_every_figure_has_a_name_a_value_and_a_range() -> None:
    refinement = {"r_work": 0.1, "r_free": 0.2, "r_free_error": 0.01, "n_free": 50}
    head, *lines = figures_table(summary(refinement))
    assert re.split(r"  +", head.strip()) == [
        "figure", "value", "of right solutions", "of wrong ones",
    ]  # fmt: skip
    value, usual = head.index("value"), head.index("of right")
    shown = {line[:value].strip(): line[value:usual].strip() for line in lines}
    assert shown == {
        "R-work": "0.100",
        "R-free": "0.200 +- 0.010",
        "R factor, search model": "0.151",
        "free correlation / sigma, search model": "6.500",
        "likelihood gain, search model": "0.420",
    }
    assert all(line[usual - 1] == " " != line[usual] for line in lines)


def test_ranges_are_those_of_the_kind_of_candidate() -> None:
    candidate = {"method": "raar", "confidence": 0.01, "figures": DENSITY_FIGURES}
    head, line, _ = figures_table({"candidates": [candidate]})
    assert line[head.index("of right") :].split() == ["0.06", "to", "0.18", "0.15", "to", "0.32"]
    atoms = {**candidate, "figures": {**DENSITY_FIGURES, "reflections_per_atom": 9.0}}
    assert "R factor, atoms  " in figures_table({"candidates": [atoms]})[1]


def test_r_factors_of_few_free_reflections_are_those_of_the_folds() -> None:
    fold = {"folds": 5, "r_work": 0.11, "r_free": 0.3, "r_free_error": 0.02}
    given = {"r_work": 0.1, "r_free": 0.2, "r_free_error": 0.1, "n_free": 9, "r_free_k_fold": fold}
    work, free = figures_table(summary(given))[1:3]
    assert work.split()[:3] == ["R-work,", "5-fold", "0.110"]
    assert free.split()[:5] == ["R-free,", "5-fold", "0.300", "+-", "0.020"]


def test_without_free_reflections_and_without_candidates() -> None:
    assert "R-free" not in "".join(figures_table(summary({"r_work": 0.1, "r_free": None})))
    assert figures_table({"refinement": None, "candidates": []}) == []


def test_candidates_of_different_methods_share_columns() -> None:
    title, head, first, second = candidates_table(summary())
    assert title == "candidates, best first:"
    assert first.split() == ["sequence", "0.99", "0.151", "6.500", "0.420"]
    assert second.split() == ["raar", "0.10", "0.051", "0.800"]
    for name, row, value in (
        ("confidence", first, "0.99"), ("R factor", second, "0.051"),
        ("free correlation", second, "0.800"), ("likelihood gain", first, "0.420"),
    ):  # fmt: skip
        end = head.index(name) + len(name)
        assert row[:end].endswith(value)


def test_a_first_candidate_that_symmetry_refutes_is_explained() -> None:
    figures = {"r": 0.2, "free_correlation": 0.4}
    found = [{"method": "raar", "confidence": x, "figures": figures} for x in (0.0, 0.006)]
    assert "how well symmetry mates agree" in candidates_table({"candidates": found})[-1]
    found[0]["confidence"] = 0.004
    assert len(candidates_table({"candidates": found})) == 4


def test_a_model_that_was_not_built_gives_the_reason() -> None:
    built = {
        "r_work": 0.1, "r_free": None, "n_residues": 1, "n_chains": 1, "n_waters": 2,
        "mean_b": 4.0, "program": "servalcat", "seconds": 3.0,
    }  # fmt: skip
    assert model_line(built) == (
        "model: Rwork 0.100, no free reflections; 1 residue in 1 chain, 2 waters, mean B 4.0 A^2, "
        "servalcat, 3.0 s"
    )


@pytest.fixture(scope="module")
def solution() -> Solution:
    return solve(read_crystal(SMALL.data_path), method="raar", time_limit=0.1)


def test_an_undetermined_hand_and_groups_of_lower_symmetry_are_said(solution: Solution) -> None:
    figures = (None, 0, None, None, None, True)
    groups = (
        SpaceGroupFigures("P 21 21 21", "", 4, 0.99, *figures, True),
        SpaceGroupFigures("P 1 21 1", "", 2, 1.0, *figures, False),
    )
    assert space_groups_line(replace(solution, space_groups=groups)) == (
        "space groups, with agreement of symmetry mates: P 21 21 21 0.99 (stated); "
        "of lower symmetry: P 1 21 1 1.00"
    )
    assert "of lower" not in space_groups_line(replace(solution, space_groups=groups[:1]))
    assert [hand_text(p) for p in (0.5, 0.96)] == [
        "undetermined", "as written with probability 0.96",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"proposed_sequence": PROPOSAL}, "for a model with it: crysformer build out --sequence"),
        ({}, "to read the sequence from atoms in the map: crysformer build out --sequence"),
        ({"d_min": 1.5}, ""),
        ({"solved": False}, ""),
        ({"input": {"sequence": ["GF"]}}, ""),
    ],
)
def test_a_solution_without_sequence_leads_to_one(
    solution: Solution, changes: dict[str, Any], hint: str
) -> None:
    small, solved = read_crystal(SMALL.data_path), changes.get("solved", True)
    limited = replace(small, hkl=small.hkl * np.array([2, 2, 2], dtype=np.int32))
    data = small if "d_min" in changes else limited  # to 1.51 or 0.75 A
    found = {"sequence": {"supported": None, "probability": None}, "input": {"sequence": []}}
    text = verdict(
        data, replace(solution, solved=solved), {**summary(), **found, **changes}, Path("out")
    )
    hints = [line for line in text.splitlines() if "--sequence proposed" in line]
    assert (hints == []) == (hint == "")
    assert all(line.startswith(hint) for line in hints)
    assert ("proposed sequence: GF (probability 0.81)" in text) == ("proposed_sequence" in changes)


def test_one_confidence_is_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["solve", str(REAL.data_path), "--method", "charge-flipping", "--time-limit", "0.3"]
    assert main([*argv, "--no-report", "-o", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = json.loads((out / "summary.json").read_text())
    confidence = f"{written['confidence']:.2f}"
    assert lines[0].startswith(f"solved: no (confidence {confidence}), method charge-flipping, ")
    assert any(
        line.startswith("to try next: Give the sequence, with --sequence: ") for line in lines
    )
    best = lines[lines.index("candidates, best first:") + 2]
    assert best.split()[:2] == ["charge-flipping", confidence]
    assert written["candidates"][0]["confidence"] == written["confidence"]


def test_a_refuted_sequence_leads_to_the_likelier_one(solution: Solution) -> None:
    better = {"chain": "A", "residue": 2, "given": "A", "better": "F", "log_likelihood_gain": 40.0}
    support = {
        "supported": False, "probability": 0.0, "verdict": "refuted", "other": "GF",
        "better": [better],
    }  # fmt: skip
    found = {**summary(), "sequence": support, "input": {"sequence": ["GA"]}}
    data = read_crystal(SMALL.data_path)
    lines = verdict(data, replace(solution, solved=True), found, Path("out")).splitlines()
    row = lines.index(
        "likelier sequence: GF, probable from the side chains that fit better (F for A2)"
    )
    assert lines[row + 1] == "for a model with it: crysformer build out --sequence GF -o NEW"
    found["sequence"] = {**support, "supported": None}
    assert "likelier" not in verdict(data, replace(solution, solved=True), found, Path("out"))


def test_a_sequence_that_was_not_checked_is_said_to_be_so(solution: Solution) -> None:
    support = {"supported": None, "probability": None, "note": "no model"}
    found = {
        **summary(), "solved": True, "sequence": support, "input": {"sequence": ["GF"]},
        "atoms": {"elements": {"C": 1}},
    }  # fmt: skip
    data, solved = read_crystal(SMALL.data_path), replace(solution, solved=True)
    line = "sequence: not checked (no model): that the phases are solved says nothing about it; "
    line += "the elements in atoms.res follow its composition"
    assert line in verdict(data, solved, found, Path("out")).splitlines()
    found["input"] = {"sequence": []}
    assert "not checked" not in verdict(data, solved, found, Path("out"))
