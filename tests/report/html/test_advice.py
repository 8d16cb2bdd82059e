"""Suggestions for a crystal that was not solved."""

from __future__ import annotations

import re
from typing import Any

from crysformer.cli import command_parser
from crysformer.report.html.advice import advice
from crysformer.wording import option


def unsolved(**changes: Any) -> dict[str, Any]:
    data = {"d_min": 1.0, "completeness": {"overall": 0.99}, "radiation": "xray", "wavelength": 1.0}
    given = {"sequence": ["GNNQQNY"]}
    data.update(changes.pop("data", {}))
    return {"solved": False, "space_group": "P 1", "data": data, "input": given, **changes}


def test_a_solved_crystal_needs_none() -> None:
    assert advice({**unsolved(), "solved": True}) == []


def test_good_data_need_time_alone() -> None:
    (only,) = advice(unsolved())
    assert "`resume` goes on" in only


def test_each_shortcoming_is_named() -> None:
    poor = unsolved(
        data={"d_min": 2.8, "completeness": {"overall": 0.61}, "wavelength": None,
              "warnings": ["twinned"]},
        space_group="P 21 21 21",
        input={"sequence": []},
    )  # fmt: skip
    text = " ".join(advice(poor))
    named = ("the sequence", "61 %", "`find_space_group`", "electron", "2.8 A", "warnings")
    for word in named:
        assert word in text
    parameters = set(re.findall(r"`([a-z_]+)`", text))
    assert {"sequence", "resume", "time_limit"} <= parameters
    options = set(re.findall(r"--[a-z-]+", command_parser("solve").format_help()))
    assert {option(name) for name in parameters} <= options
    assert advice(poor)[0].startswith("Give the sequence")


def test_a_summary_of_an_earlier_version_is_enough() -> None:
    assert len(advice({"solved": False})) == 1
