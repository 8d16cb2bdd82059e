"""Stages, and what is shown of them between reports."""

from __future__ import annotations

import pytest

from crysformer.progress import StageClock, begin_stage, duration


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_stage_with_a_limit_goes_on_with_the_time() -> None:
    watch = Watch()
    clock = StageClock("reading", watch)
    begin_stage(clock, "solving", 120.0)
    watch.now += 30
    assert clock.fraction == pytest.approx(0.25)
    clock(0.5, "raar: 24 starts")
    watch.now += 6
    assert clock.fraction == pytest.approx(0.55)
    assert clock.line() == "solving: 1:06 of 2:00, 0:54 left, raar: 24 starts"
    watch.now += 1000
    assert clock.fraction == 1.0
    assert clock.times == "2:00 of 2:00, 0:00 left"


def test_without_a_limit_the_time_left_is_estimated() -> None:
    watch = Watch()
    clock = StageClock("exporting", watch)
    watch.now += 20
    assert clock.line() == "exporting: 0:20"
    clock(0.25, "5 of 20")
    watch.now += 10
    assert clock.fraction == 0.25
    assert clock.times == "0:30, about 0:50 left"  # 60 s after the report, 10 of which are over
    clock(1.0, "20 of 20")
    assert clock.times == "0:30"


def test_the_next_stage_begins_anew_and_plain_functions_are_left_alone() -> None:
    watch = Watch()
    clock = StageClock("solving", watch)
    clock(0.9, "late")
    watch.now += 5
    begin_stage(clock, "building", 300.0)
    assert (clock.stage, clock.text, clock.fraction) == ("building", "", 0.0)
    called: list[object] = []
    begin_stage(lambda *what: called.append(what), "building", 300.0)
    begin_stage(None, "building")
    assert called == []


def test_a_stage_that_has_ended_stands_still_until_the_next_report() -> None:
    watch = Watch()
    clock = StageClock("solving", watch)
    clock.begin("solving", 120.0)
    clock(0.1, "raar: 24 starts")
    watch.now += 12
    clock.end()
    watch.now += 500
    assert clock.has_ended
    assert clock.line() == "solving: took 0:12"
    clock(0.5, "again")
    assert not clock.has_ended


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-3, "0:00"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
