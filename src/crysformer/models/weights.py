"""Weights on disk: tensors in safetensors, and everything else in JSON beside them.

Tensors are one file, NAME.safetensors, or several shards, NAME-00001-of-0000N.safetensors, which
NAME.json lists with their hashes. Either way the weights are called NAME.safetensors.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from crysformer.errors import InputError, UsageError
from crysformer.files import staged_files, write_bytes, write_json
from crysformer.models.density_network import DensityNetwork, NetworkConfig
from crysformer.models.registry import config_to_dict, make_network
from crysformer.models.weights_description import FORMAT, network, read_info

LICENCE = "MIT"

#: Upper bounds on the bytes of a safetensors header, and of its entry for a tensor beside the name.
_HEADER, _HEADER_EACH = 128, 160


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """A network ready to predict, and its description.

    Attributes
    ----------
    name
        The packaged name, or the file's stem.
    model
        The network, in evaluation mode.
    info
        The JSON: ``config``, ``metrics``, ``training``, ``calibration``, ``licence``, ...
    sha256
        SHA-256 of the tensor file, or of all shards in order.
    """

    name: str
    model: DensityNetwork
    info: dict[str, Any]
    sha256: str


def save_weights(
    path: str | Path, model: DensityNetwork, info: dict[str, Any], shard_size: int | None = None
) -> None:
    """Write ``path`` (safetensors, half precision) and the JSON beside it, together.

    All files are complete before the first gets its name. A process that is killed leaves weights
    that can be read, the earlier or the new ones: shards get names that are not in use, and count
    from when the JSON lists them.

    Parameters
    ----------
    path
        Ends in ``.safetensors``.
    model
        The network.
    info
        Description (metrics, training budget, data hash); plain values.
    shard_size
        Largest size of a file, bytes (a single tensor is never split); tensors that exceed it are
        written as shards. None: always one file.
    """
    path = Path(path)
    tensors = {name: _stored(value) for name, value in model.state_dict().items()}
    shards = _shards(tensors, shard_size)
    before = _stored_files(path)
    stem = path.stem
    if len(shards) > 1 and path.with_name(_shard_name(stem, 1, len(shards))) in before:
        stem += ".b"
    files = [path]
    if len(shards) > 1:
        files = [path.with_name(_shard_name(stem, i + 1, len(shards))) for i in range(len(shards))]
    digest, listed = hashlib.sha256(), []
    with staged_files(path.parent) as staging:
        for file, shard in zip(files, shards, strict=True):
            data = save(shard, metadata={"format": "pt"})
            write_bytes(staging / file.name, data)
            digest.update(data)
            listed.append({"file": file.name, "sha256": hashlib.sha256(data).hexdigest()})
        content = {
            "format": FORMAT,
            "config": config_to_dict(model.config),
            "licence": LICENCE,
            "sha256": digest.hexdigest(),
            **({"shards": listed} if len(files) > 1 else {}),
            **info,
        }
        write_json(staging / path.with_suffix(".json").name, content)
    for file in before:
        if file not in files:
            file.unlink(missing_ok=True)


def _stored(value: Tensor) -> Tensor:
    """Half precision on the CPU, and integers (counters of batch normalisation) as they are."""
    kind = torch.float16 if value.is_floating_point() else value.dtype
    return value.detach().to("cpu", kind).contiguous()


def _shards(tensors: dict[str, Tensor], size: int | None) -> list[dict[str, Tensor]]:
    """Distribute tensors in order over files of at most `size` bytes."""
    shards: list[dict[str, Tensor]] = [{}]
    used = _HEADER
    for name, value in tensors.items():
        n = value.numel() * value.element_size() + len(name) + _HEADER_EACH
        if size is not None and shards[-1] and used + n > size:
            shards.append({})
            used = _HEADER
        shards[-1][name] = value
        used += n
    return shards


def _shard_name(stem: str, number: int, count: int) -> str:
    return f"{stem}-{number:05}-of-{count:05}.safetensors"


def _stored_files(path: Path) -> list[Path]:
    """Tensor files of weights that are already there, if any."""
    try:
        return tensor_files(path)
    except InputError:
        return [path] if path.is_file() else []


def tensor_files(path: Path) -> list[Path]:
    """List the files of the weights called `path`: itself, or the shards in its JSON.

    Raises
    ------
    InputError
        If the JSON is missing or was not written by `save_weights`.
    """
    return _listed_files(path, read_info(path))


def _listed_files(path: Path, info: dict[str, Any]) -> list[Path]:
    shards = info.get("shards")
    return [path.with_name(shard["file"]) for shard in shards] if shards else [path]


def packaged_weights() -> dict[str, Path]:
    """Names and files of the weights that ship with the package."""
    folder = Path(str(files("crysformer") / "weights"))
    return {path.stem: path.with_suffix(".safetensors") for path in sorted(folder.glob("*.json"))}


def weights_path(name_or_file: str | Path) -> Path:
    """Return the path of packaged weights, or of a file; of shards, the name they share.

    Raises
    ------
    UsageError
        If it is neither a packaged name nor an existing file.
    """
    packaged = packaged_weights()
    if str(name_or_file) in packaged:
        return packaged[str(name_or_file)]
    path = Path(name_or_file)
    if path.suffix == ".json":
        path = path.with_suffix(".safetensors")
    if not path.is_file() and not _sharded(path):
        known = ", ".join(packaged) or "none"
        raise UsageError(
            f"{name_or_file}: no such weights; expected a .safetensors file or a packaged name "
            f"({known})"
        )
    return path


def _sharded(path: Path) -> bool:
    try:
        return tensor_files(path) != [path]
    except InputError:
        return False


def load_weights(name_or_file: str | Path, device: torch.device | str = "cpu") -> Weights:
    """Load a network by packaged name or file.

    Raises
    ------
    UsageError
        If there is no such file.
    InputError
        If the file is damaged or does not fit its description.
    """
    path = weights_path(name_or_file)
    info, beside = read_info(path), path.with_suffix(".json")
    shards = {shard["file"]: shard["sha256"] for shard in info.get("shards", [])}
    tensors: dict[str, Tensor] = {}
    digest = hashlib.sha256()
    for file in _listed_files(path, info):
        try:
            data = file.read_bytes()
            tensors.update(load(data))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise InputError(f"{file}: not a readable safetensors file ({error})") from error
        if shards:
            _check_hash(file, beside, hashlib.sha256(data).hexdigest(), shards[file.name])
        digest.update(data)
    if "sha256" in info:  # optional: a description may have been written by hand
        _check_hash(path, beside, digest.hexdigest(), info["sha256"])
    config = network(info, str(beside))
    try:
        _check_tensors(tensors, config, path)
        model = make_network(config)
    except ValueError as error:  # settings that contradict each other
        raise InputError(f"{beside}: {error}") from error
    model.load_state_dict(tensors)
    return Weights(path.stem, model.to(device).eval(), info, digest.hexdigest())


def shared_weights(name_or_file: str | Path, device: torch.device | str = "cpu") -> Weights:
    """Load a network, or return the one loaded before if its files have not changed since.

    For predictions only: whoever changes the network changes it for all.

    Raises
    ------
    UsageError, InputError
        As for `load_weights`.
    """
    path = weights_path(name_or_file)
    stamps = tuple(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size)
        for file in (path.with_suffix(".json"), *tensor_files(path))
        if file.is_file()  # `load_weights` says what is missing
    )
    return _loaded(str(name_or_file), str(device), stamps)


@functools.lru_cache(maxsize=2)
def _loaded(name_or_file: str, device: str, stamps: tuple[tuple[str, int, int], ...]) -> Weights:
    return load_weights(name_or_file, device)


def _check_hash(file: Path, beside: Path, found: str, expected: str) -> None:
    if found != expected:
        raise InputError(
            f"{file}: damaged, or not the file that {beside.name} describes (SHA-256 {found}, "
            f"expected {expected}); get both again from where they came"
        )


def _check_tensors(tensors: dict[str, Tensor], config: NetworkConfig, path: Path) -> None:
    """Compare with what the network needs, before anything of the size it claims is allocated."""
    with torch.device("meta"):
        expected = make_network(config).state_dict()
    beside = path.with_suffix(".json").name
    for name in {**expected, **tensors}:
        if name not in tensors or name not in expected:
            what = "has no" if name not in tensors else "has the surplus"
            raise InputError(f"{path}: does not fit {beside} ({what} tensor {name})")
        found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if found != wanted:
            raise InputError(
                f"{path}: does not fit {beside} (tensor {name} is {found}, expected {wanted})"
            )
        floating = tensors[name].is_floating_point()
        if floating != expected[name].is_floating_point() or not tensors[name].isfinite().all():
            raise InputError(f"{path}: the tensor {name} holds values that are no numbers")
