"""Checks of files that this package wrote: values against the types of a dataclass.

Such files are damaged, edited and made up like any other, so that nothing in them is believed
before it has the type, and the range, that the code expects.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from crysformer.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

#: Largest description that is read, bytes: far above any that is written.
MAX_JSON = 256 * 2**20


class Unfit(ValueError):  # noqa: N818 (callers give it a message of their own)
    """A value that does not have the type of its field."""


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Raises
    ------
    InputError
        If it cannot be read, is no such JSON, or holds NaN or infinity.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_JSON:
            raise InputError(f"{path}: {size} bytes, too large for what it should hold")
        content = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise InputError(f"{path}: not readable JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object, but a {_kind(content)}")
    return content


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; NaN, infinity, broken UTF-8 and nesting without end are a ValueError."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def record(cls: type[Record], values: Any) -> Record:
    """Make a dataclass of plain values, each checked against the type of its field.

    Besides the types of `converted`, fields may be lists, dictionaries and Any.

    Raises
    ------
    Unfit
        With a message, if a field is missing or unknown, or a value has another type.
    """
    if not isinstance(values, Mapping):
        raise Unfit(f"a {_kind(values)} in place of named values")
    hints = _hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = [str(name) for name in values if name not in fields]
    if unknown:
        raise Unfit(f"unknown {unknown[0]!r}")
    found = {}
    for name, field in fields.items():
        if name in values:
            try:
                found[name] = converted(values[name], hints[name])
            except Unfit:
                raise Unfit(
                    f"{name} is {shown(values[name])}, expected {type_name(hints[name])}"
                ) from None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Unfit(f"no {name}")
    return cls(**found)


def converted(value: Any, hint: Any) -> Any:
    """Return a plain value as a field of a type holds it.

    Parameters
    ----------
    value
        As TOML or JSON give it. An integer is accepted for a float, and a list for a tuple; NaN is
        accepted nowhere.
    hint
        bool, int, float, str, Literal, None, Any, tuple, list or dict of these, or a union.

    Raises
    ------
    Unfit
        If the value does not fit.
    """
    for exact in (True, False):
        for alternative in alternatives(hint):
            try:
                return _as_type(value, alternative, exact)
            except Unfit:
                continue
    raise Unfit(f"{shown(value)}, expected {type_name(hint)}")


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Types of a union; the type itself if it is none."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _as_type(value: Any, hint: Any, exact: bool) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or (hint is type(None) and value is None):
        return value
    if origin is Literal:
        if any(type(value) is type(choice) and value == choice for choice in args):
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            each = args[:1] * len(value) if args[1:] == (...,) else args
            if len(each) == len(value):
                return tuple(converted(v, t) for v, t in zip(value, each, strict=True))
    elif origin is list:
        if isinstance(value, (list, tuple)):
            return [converted(v, args[0]) for v in value]
    elif origin is dict:
        if isinstance(value, Mapping):
            return {converted(k, args[0]): converted(v, args[1]) for k, v in value.items()}
    elif hint is float:
        if isinstance(value, float) and not math.isnan(value):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and not exact:
            try:
                return float(value)
            except OverflowError:
                raise Unfit("too large") from None
    elif hint in (bool, int, str):
        if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
            return value
    elif hint is not type(None) and not dataclasses.is_dataclass(hint):
        raise TypeError(f"fields cannot be of type {hint}")
    raise Unfit("another type")


def type_name(hint: Any) -> str:
    """Words for a type, for messages."""
    names = []
    for alternative in alternatives(hint):
        origin, args = typing.get_origin(alternative), typing.get_args(alternative)
        if origin is Literal:
            names.append(f"one of: {', '.join(shown(choice) for choice in args)}")
        elif origin is tuple:
            variable = args[1:] == (...,)
            names.append(f"array of {'' if variable else f'{len(args)} '}{type_name(args[0])}")
        elif origin is list:
            names.append(f"array of {type_name(args[0])}")
        elif origin is dict:
            names.append(f"table of {type_name(args[1])}")
        elif alternative is not type(None):
            names.append(getattr(alternative, "__name__", str(alternative)))
    return " or ".join(names)


def shown(value: Any, width: int = 60) -> str:
    """A value as text for a message, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= width else f"{text[:width]}..."


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", bool: "truth value", type(None): "null"}
    return names.get(type(value), "number")
