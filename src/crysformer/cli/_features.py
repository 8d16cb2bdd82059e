"""Optional features of this installation: what each needs, and how to get what is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Feature:
    """One optional feature.

    Attributes
    ----------
    purpose
        What it is for.
    needs
        Name of the package, program or device.
    command
        How to get it.
    installed
        Test of this installation.
    """

    purpose: str
    needs: str
    command: str
    installed: Callable[[], bool]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for --json."""
        return {
            "feature": self.purpose,
            "needs": self.needs,
            "installed": self.installed(),
            "command": self.command,
        }


def _module(name: str) -> Callable[[], bool]:
    """Test for a module that is not imported, since some of them are slow or clash."""
    return lambda: importlib.util.find_spec(name) is not None


def _servalcat() -> bool:
    from crysformer.building.refinement.servalcat import find_servalcat

    return find_servalcat() is not None


def _monomer_library() -> bool:
    from crysformer.building.dictionaries import find_dictionaries
    from crysformer.building.refinement.servalcat import find_servalcat

    return find_dictionaries(beside=find_servalcat()).library is not None


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _extra(name: str) -> str:
    return f"pip install 'crysformer[{name}]'"


FEATURES = (
    Feature("refinement with servalcat", "servalcat", _extra("build"), _servalcat),
    Feature(
        "restraints for servalcat",
        "a monomer library",
        "pip install coot-headless-api, or set CLIBD_MON",
        _monomer_library,
    ),
    Feature("iso-surfaces", "scikit-image", _extra("figures"), _module("skimage")),
    Feature("dataset build --repair", "PDBFixer", _extra("curate"), _module("pdbfixer")),
    Feature("work on clusters", "dask.distributed", _extra("cluster"), _module("distributed")),
    Feature(
        "benchmark peers with cctbx",
        "cctbx",
        "pip install cctbx-base, in an environment of its own, with --cctbx-python",
        _module("cctbx"),
    ),
    Feature("training curves", "TensorBoard", "pip install tensorboard", _module("tensorboard")),
    Feature("training curves online", "Weights and Biases", "pip install wandb", _module("wandb")),
    Feature(
        "training and networks on a GPU",
        "a GPU that PyTorch can use",
        "install PyTorch for it: https://pytorch.org/get-started/locally/",
        _gpu,
    ),
)


def feature_lines(features: list[dict[str, Any]]) -> list[str]:
    """One line for each feature, with the command where something is missing."""
    width = max(len(feature["feature"]) for feature in features)
    lines = []
    for feature in features:
        status = feature["needs"]
        if not feature["installed"]:
            status = f"{status} is missing: {feature['command']}"
        lines.append(f"  {feature['feature']:<{width}}  {status}")
    return lines
