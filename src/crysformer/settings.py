"""Settings as frozen dataclasses: read from TOML files, checked, and written back with comments.

A field may describe itself in `dataclasses.field(metadata=...)`: "min" and "max" (inclusive; of
tuples, for each element), "unit" and "help". Nested dataclasses are TOML tables.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import textwrap
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from crysformer.errors import InputError, UsageError
from crysformer.schema import Unfit, alternatives, converted, type_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")

_COMMENT_WIDTH = 98


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    min: float | None = None,
    max: float | None = None,
) -> Any:
    """Declare a field with its meaning, unit and inclusive range."""
    described = {"help": help, "unit": unit, "min": min, "max": max}
    metadata = {name: value for name, value in described.items() if value not in (None, "")}
    return dataclasses.field(default=default, metadata=metadata)


def table(settings: type[Settings], help: str) -> Any:
    """Declare a nested dataclass, a table of its own in TOML, with its meaning."""
    return dataclasses.field(default_factory=settings, metadata={"help": help})


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If the file cannot be read or is not valid TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # also UTF-8, and numbers of too many digits
        raise InputError(f"{path}: not valid TOML ({error})") from error


def updated(settings: Settings, values: Mapping[str, Any], source: str = "settings") -> Settings:
    """Return a copy of the settings with some values replaced; the others stay.

    Parameters
    ----------
    settings
        A dataclass of bool, int, float, str, Literal, tuples of these, each also optional, and
        dataclasses of the same kind.
    values
        New values by name, with a mapping for each nested dataclass. An integer is accepted for a
        float, and a list for a tuple. None is accepted where the field is optional.
    source
        Named in the error messages, such as the file that the values come from.

    Raises
    ------
    InputError
        If a name is unknown, or a value has the wrong type or is out of its range.
    """
    return _updated(settings, values, source, "")


def check_ranges(settings: Any) -> None:
    """Check all values against the ranges and choices of their fields, as in `__post_init__`.

    Raises
    ------
    UsageError
        If a value is out of its range, or none of the choices.
    """
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        if dataclasses.is_dataclass(value):
            check_ranges(value)
        elif problem := _range_problem(value, field):
            raise UsageError(f"{field.name} {problem}")
        elif typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
            raise UsageError(f"{field.name} is {value!r}, expected {type_name(hint)}")


def to_toml(settings: Any) -> str:
    """Write the settings as TOML, with help, unit and range of each field as comments.

    Reading the text back into the default settings gives an equal object. None is left out, with a
    comment, since TOML has no such value.

    Raises
    ------
    ValueError
        If a field is None but not by default: leaving it out would give the default.
    """
    return "\n".join(_toml_lines(settings, _defaults(type(settings)), "")).strip("\n") + "\n"


def _updated(base: Settings, values: Mapping[str, Any], source: str, prefix: str) -> Settings:
    hints = typing.get_type_hints(type(base))
    fields = {field.name: field for field in dataclasses.fields(base) if field.init}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        if name not in fields:
            raise InputError(
                f"{source}: unknown setting {path!r}; {_suggestion(name, base, prefix)}"
            )
        old = getattr(base, name)
        table = _table(old, hints[name])
        if table is not None and value is not None:
            if not isinstance(value, Mapping):
                raise InputError(f"{source}: {path} is {value!r}, not a table of settings")
            changes[name] = _updated(table, value, source, f"{path}.")
            continue
        try:
            changes[name] = converted(value, hints[name])
        except Unfit:
            example = "" if old is None else f" like {_toml_value(old)}"
            raise InputError(
                f"{source}: {path} is {value!r}, expected {type_name(hints[name])}{example}"
            ) from None
        if problem := _range_problem(changes[name], fields[name]):
            raise InputError(f"{source}: {path} {problem}")
    try:
        return dataclasses.replace(base, **changes)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error


def _table(old: Any, hint: Any) -> Any:
    """Return the dataclass that a table of values changes; None for a field that has no table."""
    if dataclasses.is_dataclass(old):
        return old
    classes = [t for t in alternatives(hint) if dataclasses.is_dataclass(t)]
    return _defaults(classes[0]) if classes else None


def _defaults(cls: Any) -> Any:
    """Return the default settings of a class; None if a field has no default."""
    missing = dataclasses.MISSING
    complete = all(
        f.default is not missing or f.default_factory is not missing
        for f in dataclasses.fields(cls)
        if f.init
    )
    return cls() if complete else None


def _suggestion(name: str, settings: Any, prefix: str) -> str:
    """Name the nearest setting, also one of a nested table; all of them if none is near."""
    paths = dict(_paths(settings))
    own = [path for path in paths if "." not in path]
    for candidates in (own, [path for path in paths if "." in path]):
        # The settings of other tables are for values that were put in the wrong table.
        last = {path.rpartition(".")[2]: path for path in reversed(candidates)}
        near = difflib.get_close_matches(name, last, n=1, cutoff=0.6 if candidates is own else 0.9)
        if near:
            return f"did you mean {prefix + last[near[0]]!r}?"
    return f"expected one of: {', '.join(own)}"


def _paths(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        yield f"{prefix}{field.name}", value
        if dataclasses.is_dataclass(value):
            yield from _paths(value, f"{prefix}{field.name}.")


def _range_problem(value: Any, field: dataclasses.Field[Any]) -> str | None:
    """Say how a value lies outside the range of its field."""
    low = field.metadata.get("min", -math.inf)
    high = field.metadata.get("max", math.inf)

    def inside(part: Any) -> bool:
        if isinstance(part, tuple):
            return all(map(inside, part))
        return part is None or isinstance(part, str) or low <= part <= high

    if inside(value):
        return None
    return f"is {_toml_value(value)}, expected {_range_text(field)}"


def _range_text(field: dataclasses.Field[Any]) -> str:
    low, high = field.metadata.get("min"), field.metadata.get("max")
    if high is None:
        return "" if low is None else f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _toml_lines(settings: Any, defaults: Any, prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(type(settings))
    tables = []
    for field in dataclasses.fields(settings):
        value, default = getattr(settings, field.name), getattr(defaults, field.name, None)
        if dataclasses.is_dataclass(value):
            tables.append((field, value, default))
            continue
        if value is None and default is not None:
            raise ValueError(
                f"{prefix}{field.name} is None, default {default!r}: TOML has no value for that"
            )
        yield from _comments(field, hints[field.name])
        if value is None:
            yield f"# {field.name} is not set ({type_name(hints[field.name])})"
        else:
            yield f"{field.name} = {_toml_value(value)}"
    for field, value, default in tables:
        default = _defaults(type(value)) if default is None else default
        yield ""
        yield from _comments(field, None)
        yield f"[{prefix}{field.name}]"
        yield from _toml_lines(value, default, f"{prefix}{field.name}.")


def _comments(field: dataclasses.Field[Any], hint: Any) -> Iterator[str]:
    choices = [type_name(t) for t in alternatives(hint) if typing.get_origin(t) is Literal]
    notes = "; ".join(
        note for note in (field.metadata.get("unit"), _range_text(field), *choices) if note
    )
    text = " ".join(part for part in (field.metadata.get("help"), notes and f"[{notes}]") if part)
    for line in textwrap.wrap(text, _COMMENT_WIDTH):
        yield f"# {line}"


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(element) for element in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes as TOML does, except that TOML also wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(float(value)) if isinstance(value, float) else repr(value)
