"""Solve the crystallographic phase problem for peptides and small proteins.

>>> import crysformer
>>> data = crysformer.read_crystal("data.mtz")                       # doctest: +SKIP
>>> solution = crysformer.solve(data, sequence="GNNQQNY")            # doctest: +SKIP

The names below load on first use, so that ``import crysformer`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from crysformer.version import __version__ as __version__

if TYPE_CHECKING:
    from crysformer import data as data
    from crysformer.building.build import build as build
    from crysformer.building.built_model import BuiltModel as BuiltModel
    from crysformer.building.start import Start as Start
    from crysformer.crystal.fourier.density_map import DensityMap as DensityMap
    from crysformer.crystal.io.read import read_crystal as read_crystal
    from crysformer.crystal.quality.report import DataReport as DataReport
    from crysformer.crystal.quality.report import data_report as data_report
    from crysformer.crystal.reflections import CrystalData as CrystalData
    from crysformer.models.density_network import DensityNetwork as DensityNetwork
    from crysformer.models.density_network import NetworkConfig as NetworkConfig
    from crysformer.phasing.network.predict import Prediction as Prediction
    from crysformer.phasing.network.predict import predict as predict
    from crysformer.report.progress_display import ProgressDisplay as ProgressDisplay
    from crysformer.workflow.interactive import Solution as Solution
    from crysformer.workflow.interactive import solve as solve

_HOME = {
    "BuiltModel": "crysformer.building.built_model",
    "CrystalData": "crysformer.crystal.reflections",
    "DensityNetwork": "crysformer.models.density_network",
    "NetworkConfig": "crysformer.models.density_network",
    "DataReport": "crysformer.crystal.quality.report",
    "DensityMap": "crysformer.crystal.fourier.density_map",
    "ProgressDisplay": "crysformer.report.progress_display",
    "Prediction": "crysformer.phasing.network.predict",
    "Solution": "crysformer.workflow.interactive",
    "Start": "crysformer.building.start",
    "build": "crysformer.building.build",
    "data_report": "crysformer.crystal.quality.report",
    "predict": "crysformer.phasing.network.predict",
    "read_crystal": "crysformer.crystal.io.read",
    "solve": "crysformer.workflow.interactive",
}

__all__ = [
    "BuiltModel",
    "CrystalData",
    "DataReport",
    "DensityMap",
    "DensityNetwork",
    "NetworkConfig",
    "Prediction",
    "ProgressDisplay",
    "Solution",
    "Start",
    "build",
    "data",
    "data_report",
    "predict",
    "read_crystal",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name == "data":
        return importlib.import_module("crysformer.data")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'crysformer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
