"""From deposited structures to standardised fragments, crystals and training examples.

The names below load on first use: a module of this package costs only what it needs itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crysformer.data.criteria import Criteria as Criteria
    from crysformer.data.dataset.build import build as build
    from crysformer.data.dataset.check import check as check
    from crysformer.data.dataset.export import export as export
    from crysformer.data.dataset.export_shards import export_shards as export_shards
    from crysformer.data.dataset.manifest import Manifest as Manifest
    from crysformer.data.dataset.shard_reader import MapShards as MapShards
    from crysformer.data.rcsb.fetch import fetch as fetch
    from crysformer.data.recipe import DIPEPTIDE as DIPEPTIDE
    from crysformer.data.recipe import FIFTEEN as FIFTEEN
    from crysformer.data.recipe import Recipe as Recipe
    from crysformer.data.store import FragmentStore as FragmentStore
    from crysformer.data.store import FragmentTable as FragmentTable

_HOME = {
    "Criteria": "criteria",
    "DIPEPTIDE": "recipe",
    "FIFTEEN": "recipe",
    "FragmentStore": "store",
    "FragmentTable": "store",
    "Manifest": "dataset.manifest",
    "Recipe": "recipe",
    "build": "dataset.build",
    "check": "dataset.check",
    "MapShards": "dataset.shard_reader",
    "export": "dataset.export",
    "export_shards": "dataset.export_shards",
    "fetch": "rcsb.fetch",
}

__all__ = [
    "DIPEPTIDE",
    "FIFTEEN",
    "Criteria",
    "FragmentStore",
    "FragmentTable",
    "Manifest",
    "MapShards",
    "Recipe",
    "build",
    "check",
    "export",
    "export_shards",
    "fetch",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"crysformer.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'crysformer.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
