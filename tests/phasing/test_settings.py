"""Settings of the solver: printed, read back, and refused with one line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from crysformer.errors import InputError, UsageError
from crysformer.phasing.random_starts.method import RaarSettings
from crysformer.phasing.sequence_search.trial_moves import TrialMoveSettings
from crysformer.phasing.settings import SolveSettings
from crysformer.settings import updated


def test_printed_settings_are_read_back(tmp_path: Path) -> None:
    changed = replace(SolveSettings(), raar=RaarSettings(iterations=77, beta=0.9))
    for settings in (SolveSettings(), changed):
        path = tmp_path / "settings.toml"
        path.write_text(settings.to_toml(), encoding="utf-8")
        assert SolveSettings.read(path) == settings
        assert tomllib.loads(settings.to_toml()).keys() == asdict(settings).keys()


def described(settings: Any, path: str = "") -> Iterator[str]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        assert field.metadata["help"].endswith("."), f"{path}{field.name}"
        yield f"{path}{field.name}"
        if is_dataclass(value):
            yield from described(value, f"{path}{field.name}.")


def test_every_setting_is_described_and_within_its_own_range() -> None:
    settings = SolveSettings()
    names = list(described(settings))
    assert {"raar.iterations", "sequence.trial_moves.crossover"} <= set(names)
    assert updated(settings, asdict(settings)) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rar]\n", "unknown setting 'rar'; did you mean 'raar'"),
        ("[raar]\niteration = 3\n", "'raar.iteration'; did you mean 'raar.iterations'"),
        ("[raar]\niterations = 2.5\n", "raar.iterations is 2.5, expected int"),
        ("[raar]\niterations = 0\n", "raar.iterations is 0, expected at least 1"),
        ("[pool]\nconvinced = true\n", "pool.convinced is True, expected float"),
        ("raar = 3\n", "raar is 3"),
        ("[fragments.rotation]\nkept = [3]\n", "3 resolution limits and 1 numbers of orientations"),
        (
            "[sequence.trial_moves]\n"
            + "".join(f"{name} = 0\n" for name in TrialMoveSettings().frequencies),
            "no trial move has a frequency above zero",
        ),
        ("[raar\n", "not valid TOML"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    unreadable = "TOML" in message
    with pytest.raises(InputError if unreadable else UsageError) as error:
        SolveSettings.read(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
