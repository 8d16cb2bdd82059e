"""Architectures by name: networks made from their settings, and settings from plain values."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from crysformer.errors import InputError, UsageError
from crysformer.models.crysformer import CrysFormer
from crysformer.models.density_network import DensityNetwork, NetworkConfig
from crysformer.models.refining import Refining
from crysformer.models.unet import UNet
from crysformer.settings import updated

#: The architectures of this package, and those registered with `register`.
ARCHITECTURES: dict[str, type[DensityNetwork]] = {
    "crysformer": CrysFormer,
    "unet": UNet,
    "refining": Refining,
}

#: Key that names the architecture among the plain values of its settings.
KEY = "architecture"


def register(name: str) -> type[DensityNetwork]:
    """Import the network class ``package.module:Class`` and add it to `ARCHITECTURES`.

    The module is imported, which runs its code; names come from the user, never from a file of
    weights. The working directory is searched as well.

    Raises
    ------
    UsageError
        If there is no such class, or it is not a `DensityNetwork` with settings of its own.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        known = ", ".join(ARCHITECTURES)
        raise UsageError(
            f"unknown architecture {name!r}; expected one of {known}, or package.module:Class"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{name}: cannot be imported ({error})") from error
    if not (isinstance(found, type) and issubclass(found, DensityNetwork)):
        raise UsageError(f"{name}: expected a subclass of crysformer.DensityNetwork")
    taken = [NetworkConfig, *(other.Config for other in ARCHITECTURES.values())]
    if found.Config in taken:
        raise UsageError(
            f"{name}: expected a dataclass of its own as Config, a subclass of NetworkConfig"
        )
    ARCHITECTURES[name] = found
    return found


def name_of(config: NetworkConfig) -> str:
    """Name of the architecture that settings belong to."""
    for name, network in ARCHITECTURES.items():
        if network.Config is type(config):
            return name
    raise ValueError(f"{type(config).__name__} belongs to no registered architecture")


def make_network(config: NetworkConfig, templates: Tensor | None = None) -> DensityNetwork:
    """Make the network of the settings, with random weights; arguments as `DensityNetwork`."""
    return ARCHITECTURES[name_of(config)](config, templates)


def config_to_dict(config: NetworkConfig) -> dict[str, Any]:
    """Convert settings to plain values, with the name of the architecture."""
    values: dict[str, Any] = {KEY: name_of(config)}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        values[field.name] = config_to_dict(value) if isinstance(value, NetworkConfig) else value
    return values


def config_from_dict(
    values: Mapping[str, Any], source: str = "config", base: NetworkConfig | None = None
) -> NetworkConfig:
    """Make settings of plain values, the inverse of `config_to_dict`.

    Parameters
    ----------
    values
        Settings by name; an absent architecture means that of `base`.
    source
        Named in the error messages.
    base
        Settings for what is left out; of another architecture, those that all networks have.
        By default CrysFormer's.

    Raises
    ------
    InputError
        If the architecture or a name is unknown, or a value is wrong.
    """
    return updated(*resolved(values, source, CrysFormer.Config() if base is None else base), source)


def resolved(
    values: Mapping[str, Any], source: str, base: NetworkConfig
) -> tuple[NetworkConfig, dict[str, Any]]:
    """Default settings of the architecture that values name, and the values still to be set.

    Arguments and errors as for `config_from_dict`.
    """
    rest = dict(values)
    name = rest.pop(KEY, name_of(base))
    if not isinstance(name, str) or name not in ARCHITECTURES:
        advice = " (of another package: `register` imports it)" if ":" in str(name) else ""
        raise InputError(
            f"{source}: unknown architecture {name!r}{advice}; expected one of: "
            f"{', '.join(ARCHITECTURES)}"
        )
    base = default_config(name, base)
    for field in dataclasses.fields(base):
        inner = getattr(base, field.name)
        if isinstance(inner, NetworkConfig) and isinstance(rest.get(field.name), Mapping):
            inner, rest[field.name] = resolved(rest[field.name], source, inner)
            changes: dict[str, Any] = {field.name: inner}
            base = dataclasses.replace(base, **changes)
    return base, rest


def default_config(name: str, like: NetworkConfig) -> NetworkConfig:
    """Default settings of an architecture for the same examples as those of `like`."""
    kind = ARCHITECTURES[name].Config
    if type(like) is kind:
        return like
    common = {f.name for f in dataclasses.fields(NetworkConfig)} - {"patch"}
    return kind(**{name: getattr(like, name) for name in common})
