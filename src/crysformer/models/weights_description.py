"""Description of weights, the JSON beside their tensors, checked before it is used."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from crysformer.errors import InputError, UsageError
from crysformer.models.density_network import NetworkConfig
from crysformer.models.registry import config_from_dict
from crysformer.schema import read_json_object, record

FORMAT = 1

_SHARD_NAME = re.compile(r"[^/\\]+-\d{5}-of-\d{5}\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Domain:
    """Crystals that a network was trained on; see `training.domain`."""

    min_edges: tuple[float, float, float]
    max_edges: tuple[float, float, float]
    volume_per_atom: tuple[float, float]
    max_d_min: float
    min_completeness: float = 0.0


@dataclass(frozen=True)
class _Calibration:
    """Mean cosine of phase errors against the ratio of amplitudes; see `training.validation`."""

    ratio: list[float]
    cosine: list[float]


@dataclass(frozen=True)
class _Shard:
    """File that holds part of the tensors."""

    file: str
    sha256: str


@dataclass(frozen=True)
class _Parts:
    """Parts of a description that code depends on; all but the network are optional."""

    sha256: str = ""
    preset: str = ""
    licence: str = ""
    wilson_scale: float = 1.0
    arrival: tuple[float, float, float, float] | None = None
    metrics: dict[str, Any] | None = None
    metrics_predict: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


def read_info(path: Path) -> dict[str, Any]:
    """Read the JSON that belongs to a tensor file.

    Raises
    ------
    InputError
        If it is missing, was not written by `save_weights`, or holds something that its keys do not
        allow.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise InputError(f"{beside}: missing; weights are a .safetensors and a .json")
    info = read_json_object(beside)
    if info.get("format") != FORMAT or "config" not in info:
        raise InputError(f"{beside}: not the description of weights of format {FORMAT}")
    network(info, str(beside))
    try:
        _check(info)
    except ValueError as error:
        raise InputError(f"{beside}: not the description of weights ({error})") from error
    return info


def network(info: dict[str, Any], source: str) -> NetworkConfig:
    """Configuration of the network that is described.

    Raises
    ------
    InputError
        If a setting is unknown, or has no meaning.
    """
    if not isinstance(info["config"], dict):
        raise InputError(f"{source}: config is no table of settings")
    try:
        return config_from_dict(info["config"], f"{source}: config")
    except UsageError as error:
        raise InputError(f"{source}: config: {error}") from error


def required(info: dict[str, Any], name: str) -> Any:
    """A part of a description that is optional in general and needed here.

    Raises
    ------
    InputError
        If it is not there.
    """
    if name not in info:
        raise InputError(f"the weights' description has no {name!r}, so they cannot predict")
    return info[name]


def _check(info: dict[str, Any]) -> None:
    names = {field.name for field in fields(_Parts)}
    record(_Parts, {name: value for name, value in info.items() if name in names})
    if "sha256" in info and not _SHA256.fullmatch(info["sha256"]):
        raise ValueError("sha256 is no SHA-256 in hexadecimal digits")
    if "domain" in info:
        domain = record(_Domain, info["domain"])
        _require_finite(*domain.min_edges, *domain.max_edges, *domain.volume_per_atom)
        _require_finite(domain.max_d_min, domain.min_completeness)
    if not 0.01 < info.get("wilson_scale", 1.0) < 100:
        raise ValueError(f"wilson_scale is {info['wilson_scale']}, expected 0.01 to 100")
    if info.get("arrival"):
        _require_finite(*info["arrival"])
    for name in ("calibration", "calibration_arrived"):
        if name in info:
            calibration = record(_Calibration, info[name])
            _require_finite(*calibration.ratio, *calibration.cosine)
            if not 0 < len(calibration.ratio) == len(calibration.cosine):
                raise ValueError(f"{name} has lists of different lengths, or empty ones")
    shards = info.get("shards", [])
    if not isinstance(shards, list):
        raise ValueError("shards is no list")
    for values in shards:
        # Files of these names are read, and replaced by later weights: nothing else may be named.
        shard = record(_Shard, values)
        if not _SHARD_NAME.fullmatch(shard.file) or not _SHA256.fullmatch(shard.sha256):
            raise ValueError(f"shards names {shard.file!r}, which is no shard of weights")


def _require_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("infinity among the figures")
