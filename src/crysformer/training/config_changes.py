"""Single settings of a training run changed by text, as on the command line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from crysformer.errors import UsageError
from crysformer.training.config import TrainingConfig, updated_config


def with_changes(config: TrainingConfig, changes: Sequence[str]) -> TrainingConfig:
    """Change settings given as text, such as ``model.width=384`` or ``loss=mse``.

    Values are written as in TOML; quotes around a word may be left out, and ``none`` unsets an
    optional value.

    Raises
    ------
    InputError
        If a key is unknown, or a value has the wrong type or is out of its range.
    UsageError
        If a change is not of the form KEY=VALUE, or settings contradict each other.
    """
    for change in changes:
        key, equals, text = change.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not key or not text:
            raise UsageError(f"{change!r} is no change of a setting; expected KEY=VALUE")
        *tables, name = key.split(".")
        values: dict[str, Any] = {name: None if text == "none" else _toml_value(text, change)}
        for above in reversed(tables):
            values = {above: values}
        config = updated_config(config, values, change)
    return config


def _toml_value(text: str, change: str) -> Any:
    """Read a value of TOML, or a word without quotes."""
    for spelling in (text, json.dumps(text)):
        try:
            read = tomllib.loads(f"value = {spelling}")
        except tomllib.TOMLDecodeError:
            continue
        if len(read) == 1:
            return read["value"]
    raise UsageError(f"{change!r} is no change of a setting; expected a value as in TOML")
