"""Settings: every value survives TOML, and every mistake is named in one line."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.errors import InputError, UsageError
from crysformer.settings import check_ranges, read_toml, to_toml, updated


@dataclass(frozen=True)
class Limits:
    edges: tuple[float, float] = (1.0, 2.0)
    shells: tuple[int, ...] = field(default=(), metadata={"min": 1, "help": "Reflections each."})
    note: str | None = None


@dataclass(frozen=True)
class Search:
    limits: Limits = field(default_factory=Limits, metadata={"help": "What is refused."})
    steps: int | float = 3


@dataclass(frozen=True)
class Settings:
    seconds: float = field(
        default=120.0,
        metadata={"min": 0.5, "max": math.inf, "unit": "s", "help": "Time for the search."},
    )
    share: float = field(default=0.3, metadata={"min": 0, "max": 1})
    starts: int = field(default=8, metadata={"min": 1, "help": "Random starts. " * 12})
    quick: bool = False
    name: str = "a"
    kind: Literal["one", "two"] = "one"
    landmarks: int | None = None
    search: Search = field(default_factory=Search)
    extra: Limits | None = None


_FLOATS = st.floats(allow_nan=False)
_LIMITS = st.builds(
    Limits,
    edges=st.tuples(_FLOATS, _FLOATS),
    shells=st.lists(st.integers(min_value=1)).map(tuple),
    note=st.none() | st.text(),
)
_SETTINGS = st.builds(
    Settings,
    seconds=st.floats(min_value=0.5),
    share=st.floats(0, 1),
    starts=st.integers(min_value=1),
    quick=st.booleans(),
    name=st.text(),
    kind=st.sampled_from(("one", "two")),
    landmarks=st.none() | st.integers(),
    search=st.builds(Search, limits=_LIMITS, steps=st.integers() | _FLOATS),
    extra=st.none() | _LIMITS,
)


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        updated(Settings(), values, "own.toml")
    message = str(caught.value)
    assert message.startswith("own.toml: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix("own.toml: ")


@given(_SETTINGS)
def test_settings_survive_toml(settings: Settings) -> None:
    found = updated(Settings(), tomllib.loads(to_toml(settings)))
    assert found == settings
    # equal numbers may differ in type: 1 == 1.0
    assert to_toml(found) == to_toml(settings)


@given(_SETTINGS)
def test_settings_survive_plain_dictionaries(settings: Settings) -> None:
    assert updated(Settings(), dataclasses.asdict(settings)) == settings


@given(_SETTINGS, st.integers(min_value=1))
def test_only_the_values_given_change(settings: Settings, starts: int) -> None:
    assert updated(settings, {}) == settings
    assert updated(settings, {"starts": starts}) == dataclasses.replace(settings, starts=starts)
    found = updated(settings, {"search": {"limits": {"shells": [starts]}}})
    assert found.search.limits.shells == (starts,)
    assert found.search.limits.edges == settings.search.limits.edges
    assert found.search.steps == settings.search.steps


def test_the_text_describes_each_setting(tmp_path: Path) -> None:
    text = to_toml(Settings())
    assert "# Time for the search. [s; 0.5 to inf]\nseconds = 120.0\n" in text
    assert "# [0 to 1]\nshare = 0.3\n" in text
    assert '# [one of: "one", "two"]\nkind = "one"\n' in text
    assert "# landmarks is not set (int)\n" in text
    assert "# What is refused.\n[search.limits]\nedges = [1.0, 2.0]\n" in text
    assert "# Reflections each. [at least 1]\nshells = []\n" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    assert updated(Settings(), read_toml(path), str(path)) == Settings()


def test_an_integer_for_a_float_becomes_one_and_a_list_becomes_a_tuple() -> None:
    found = updated(Settings(), {"seconds": 3, "search": {"limits": {"edges": [1, 2.5]}}})
    assert isinstance(found.seconds, float)
    assert found.search.limits.edges == (1.0, 2.5)
    assert isinstance(found.search.limits.edges[0], float)
    # where both are allowed, a number stays what it is
    assert isinstance(updated(Search(), {"steps": 5}).steps, int)
    assert isinstance(updated(Search(), {"steps": 5.0}).steps, float)


def test_an_unset_table_starts_from_its_defaults() -> None:
    assert updated(Settings(), {"extra": {"note": "x"}}).extra == Limits(note="x")
    assert updated(Settings(extra=Limits()), {"extra": None}).extra is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"second": 1.0}, "unknown setting 'second'; did you mean 'seconds'?"),
        ({"search": {"stps": 1}}, "unknown setting 'search.stps'; did you mean 'search.steps'?"),
        ({"shells": [1]}, "unknown setting 'shells'; did you mean 'search.limits.shells'?"),
        (
            {"search": {"zzz": 1}},
            "unknown setting 'search.zzz'; expected one of: limits, steps",
        ),
        ({"starts": True}, "starts is True, expected int like 8"),
        ({"starts": 2.0}, "starts is 2.0, expected int like 8"),
        ({"starts": "8"}, "starts is '8', expected int like 8"),
        ({"starts": None}, "starts is None, expected int like 8"),
        ({"quick": 1}, "quick is 1, expected bool like false"),
        ({"share": True}, "share is True, expected float like 0.3"),
        ({"share": math.nan}, "share is nan, expected float like 0.3"),
        ({"name": 1}, 'name is 1, expected str like "a"'),
        ({"kind": "three"}, 'kind is \'three\', expected one of: "one", "two" like "one"'),
        ({"landmarks": "no"}, "landmarks is 'no', expected int"),
        ({"search": 3}, "search is 3, not a table of settings"),
        (
            {"search": {"limits": {"edges": [1.0]}}},
            "search.limits.edges is [1.0], expected array of 2 float like [1.0, 2.0]",
        ),
        (
            {"search": {"limits": {"shells": [1, "a"]}}},
            "search.limits.shells is [1, 'a'], expected array of int like []",
        ),
        ({"seconds": 0.25}, "seconds is 0.25, expected 0.5 to inf"),
        ({"share": 1.5}, "share is 1.5, expected 0 to 1"),
        ({"starts": 0}, "starts is 0, expected at least 1"),
        (
            {"search": {"limits": {"shells": [3, 0]}}},
            "search.limits.shells is [3, 0], expected at least 1",
        ),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    assert refused(values) == message


def test_an_integer_too_large_for_a_float_is_refused() -> None:
    assert "expected float" in refused({"seconds": 10**400})


def test_ranges_are_checked_on_request() -> None:
    check_ranges(Settings())
    with pytest.raises(UsageError, match="share is -1, expected 0 to 1"):
        check_ranges(Settings(share=-1))
    with pytest.raises(UsageError, match="shells is "):
        check_ranges(Settings(search=Search(limits=Limits(shells=(0,)))))


@dataclass(frozen=True)
class _Pair:
    low: float = 0.0
    high: float | None = 1.0

    def __post_init__(self) -> None:
        if self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")


def test_a_contradiction_names_the_source() -> None:
    with pytest.raises(InputError, match=r"^own\.toml: low 2\.0 is above high 1\.0$"):
        updated(_Pair(), {"low": 2}, "own.toml")


def test_none_that_is_not_the_default_cannot_be_written() -> None:
    assert updated(_Pair(), {"high": None}).high is None
    with pytest.raises(ValueError, match="high is None, default 1"):
        to_toml(_Pair(high=None))


def test_files_that_are_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    with pytest.raises(InputError, match=r"own\.toml: cannot be read"):
        read_toml(path)
    path.write_text("starts = \n")
    with pytest.raises(InputError, match="not valid TOML"):
        read_toml(path)
    path.write_bytes(b'name = "\xff"\n')
    with pytest.raises(InputError, match="not valid TOML"):
        read_toml(path)
