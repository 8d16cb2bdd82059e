"""Show versions, devices, the weights with their hashes, and the external programs found."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import crysformer
from crysformer.cli._common import emit

PACKAGES = ("numpy", "scipy", "gemmi", "torch", "pyarrow", "safetensors", "matplotlib", "rich")
PROGRAMS = {
    "servalcat": "refinement of models",
    "gemmi": "file conversion by hand",
    "coot": "looking at maps and models",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace) -> int:
    """Gather and print."""
    result = {
        "crysformer": crysformer.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "weights": _weights(),
        "programs": {name: _find_program(name) for name in PROGRAMS},
    }
    emit(args, result, _text(result))
    return 0


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _find_program(name: str) -> str | None:
    """On the PATH, or beside this Python (a virtual environment that is not activated)."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _devices() -> list[dict[str, Any]]:
    import torch

    devices: list[dict[str, Any]] = [
        {"device": "cpu", "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    ]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "memory_gib": round(properties.total_memory / 2**30, 1),
            }
        )
    if torch.backends.mps.is_available():
        devices.append({"device": "mps"})
    return devices


def _weights() -> list[dict[str, Any]]:
    """The safetensors files that ship with the package: name, bytes, sha256."""
    folder = files("crysformer") / "weights"
    if not folder.is_dir():
        return []
    entries = []
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".safetensors"):
            content = item.read_bytes()
            entries.append(
                {
                    "name": item.name.removesuffix(".safetensors"),
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
    return entries


def _text(result: dict[str, Any]) -> str:
    lines = [f"crysformer {result['crysformer']}", f"python {result['python']}"]
    lines += [
        f"{name} {version or 'not installed'}" for name, version in result["packages"].items()
    ]
    lines += [f"platform {result['platform']}", "", "devices"]
    for device in result["devices"]:
        detail = ", ".join(f"{k} {v}" for k, v in device.items() if k != "device")
        lines.append(f"  {device['device']}" + (f" ({detail})" if detail else ""))
    lines += ["", "weights"]
    for weights in result["weights"]:
        megabytes = weights["bytes"] / 1e6
        lines.append(f"  {weights['name']}  {megabytes:.1f} MB  sha256 {weights['sha256']}")
    if not result["weights"]:
        lines.append("  none in this installation")
    lines += ["", "external programs (all optional)"]
    for name, path in result["programs"].items():
        lines.append(f"  {name:<10} {path or 'not found'}  ({PROGRAMS[name]})")
    return "\n".join(lines)
