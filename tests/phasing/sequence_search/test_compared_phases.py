"""Comparison of models: against the measure itself, each pair once, and none when time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crysformer.phasing.budget import Budget, method_generator
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.sequence_search import compared_phases, group_search
from crysformer.phasing.sequence_search.compared_phases import ComparedPhases, phase_agreement
from crysformer.phasing.sequence_search.group_search import GroupSearch
from crysformer.phasing.sequence_search.settings import SequenceSettings

VALINE_ALANINE = 0


def test_each_pair_is_compared_once(
    dipeptide: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    true = crystal.phased
    rng = np.random.default_rng(0)
    moved = true.conj() * np.exp(2j * np.pi * (crystal.data.hkl @ [0.1, 0.2, 0.3]))
    wrong = np.abs(true) * np.exp(2j * np.pi * rng.random(len(true)))
    calls = []

    def counted(*args: Any) -> tuple[float, bool]:
        calls.append(args)
        return phase_agreement(*args)

    monkeypatch.setattr(compared_phases, "phase_agreement", counted)
    alike = ComparedPhases(crystal.data, np.stack((true, moved, wrong)))
    assert alike.of(1, 1) == (1.0, False)
    assert not calls
    cosine, inverted = alike.of(0, 1)
    assert cosine == pytest.approx(1.0, abs=1e-3)
    assert inverted
    assert alike.of(1, 0) == (cosine, inverted)
    assert alike.of(0, 2)[0] < 0.5
    assert len(calls) == 2


def test_after_the_deadline_the_best_model_alone_is_rated(
    dipeptide: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    problem = phasing_problem(crystal.data, (crystal.sequence,))
    small = SequenceSettings()
    now = time.monotonic()
    budget = Budget(now + 1.5, now + 600, method_generator(0, "sequence"))
    search = GroupSearch(problem, crystal.data.space_group, small, budget)
    found = search.population.advance(budget.until, budget.deadline)
    several, _ = search._clusters(found, budget)
    assert len(several) > 1

    over = replace(budget, deadline=now - 1)
    calls = []
    monkeypatch.setattr(group_search, "phase_agreement", lambda *args: calls.append(args))
    one, mirrored = search._clusters(found, over)
    assert len(one) == 1
    assert not mirrored
    assert not calls
    assert len(search._refined(several, over)) == 1
