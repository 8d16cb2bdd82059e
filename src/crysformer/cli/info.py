"""Report on a crystal's data before phasing, or show what is installed.

With DATA: cell, space group, columns, wavelength, free set, I/sigma and completeness by shell,
Wilson B, anisotropy, distribution of the intensities, twinning, translational NCS and, with a
sequence or a composition, the solvent content; a warning wherever an assumption of the methods
fails. Without DATA: versions, devices, weights with their hashes, the external programs found, and
the optional features, with a command that installs what is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import crysformer
from crysformer.cli._common import (
    add_composition_argument,
    add_copies_argument,
    add_data_arguments,
    add_sequence_arguments,
    check_contents,
    emit,
    load_inputs,
)
from crysformer.cli._features import FEATURES, feature_lines
from crysformer.errors import UsageError

PACKAGES = ("numpy", "scipy", "gemmi", "torch", "pyarrow", "safetensors", "matplotlib", "rich")
_COMPARED = "model building, compared by experiment building"
PROGRAMS = {
    "servalcat": "refinement of models",
    "gemmi": "file conversion by hand",
    "coot": "looking at maps and models",
    "phenix.autobuild": _COMPARED,
    "shelxe": _COMPARED,
    "modelcraft": _COMPARED,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options, all of which concern DATA."""
    add_data_arguments(
        parser, "reflections to report on; without it, what is installed is shown", required=False
    )
    add_sequence_arguments(parser)
    add_composition_argument(parser)
    add_copies_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Report on the data, or on the installation."""
    if args.data is not None:
        return _report_on_data(args)
    for option in ("cell", "space_group", "labin", "block", "sequence", "composition", "copies"):
        if getattr(args, option) is not None:
            raise UsageError(f"--{option.replace('_', '-')} needs DATA; name a reflection file")
    result = {
        "crysformer": crysformer.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "weights": _weights(),
        "programs": {name: _find_program(name) for name in PROGRAMS},
        "features": [feature.to_dict() for feature in FEATURES],
    }
    emit(args, result, _text(result))
    return 0


def _report_on_data(args: argparse.Namespace) -> int:
    from crysformer.crystal.quality.report import data_report

    check_contents(args)
    report = data_report(*load_inputs(args, unknown_group=True), args.copies, args.composition)
    result = {"source": report.source, "space_group": report.space_group, **report.to_dict()}
    emit(args, result, report.text())
    return 0


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _find_program(name: str) -> str | None:
    """Path of a program on the PATH or beside this Python (a venv that is not activated)."""
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
    """Name, bytes and SHA-256 of each of the bundled weights."""
    from crysformer.models.weights import packaged_weights, tensor_files

    contents = {
        name: b"".join(file.read_bytes() for file in tensor_files(path))
        for name, path in packaged_weights().items()
    }
    return [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]


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
        lines.append(
            f"  {weights['name']}  {megabytes:.1f} MB  checksum (SHA-256) {weights['sha256']}"
        )
    if not result["weights"]:
        lines.append("  none in this installation")
    lines += ["", "external programs (all optional)"]
    for name, path in result["programs"].items():
        lines.append(f"  {name:<16} {path or 'not found'}  ({PROGRAMS[name]})")
    lines += ["", "optional features", *feature_lines(result["features"])]
    return "\n".join(lines)
