"""Weights on disk: tensors in safetensors, and everything else in JSON beside them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from crysformer.errors import InputError, UsageError
from crysformer.files import atomic_path, write_json
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig

FORMAT = 1
LICENCE = "MIT"


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
        SHA-256 of the tensor file.
    """

    name: str
    model: CrysFormer
    info: dict[str, Any]
    sha256: str


def save_weights(path: str | Path, model: CrysFormer, info: dict[str, Any]) -> None:
    """Write ``path`` (safetensors, half precision) and the JSON beside it, each atomically.

    Parameters
    ----------
    path
        Ends in ``.safetensors``.
    model
        The network.
    info
        Description (metrics, training budget, data hash); plain values.
    """
    path = Path(path)
    tensors = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in model.state_dict().items()
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"format": "pt"}))
    content = {
        "format": FORMAT,
        "config": dataclasses.asdict(model.config),
        "licence": LICENCE,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **info,
    }
    write_json(path.with_suffix(".json"), content)


def packaged_weights() -> dict[str, Path]:
    """Names and files of the weights that ship with the package."""
    folder = Path(str(files("crysformer") / "weights"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def weights_path(name_or_file: str | Path) -> Path:
    """Return the tensor file of packaged weights, or of a path.

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
    if not path.is_file():
        known = ", ".join(packaged) or "none"
        raise UsageError(
            f"{name_or_file}: no such weights; expected a .safetensors file or a packaged name "
            f"({known})"
        )
    return path


def read_info(path: Path) -> dict[str, Any]:
    """Read the JSON that belongs to a tensor file.

    Raises
    ------
    InputError
        If it is missing or was not written by `save_weights`.
    """
    beside = path.with_suffix(".json")
    try:
        info = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{beside}: missing; weights are a .safetensors and a .json") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{beside}: not readable JSON ({error})") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT or "config" not in info:
        raise InputError(f"{beside}: not the description of weights of format {FORMAT}")
    return info


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
    info = read_info(path)
    try:
        model = CrysFormer(CrysFormerConfig(**info["config"]))
        tensors = load_file(path)
        model.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from error
    except (TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: does not fit {path.with_suffix('.json').name} ({reason})"
        ) from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Weights(path.stem, model.to(device).eval(), info, sha256)
