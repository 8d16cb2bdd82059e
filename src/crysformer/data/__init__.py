"""From deposited structures to standardised fragments, crystals and training examples."""

from crysformer.data.build import build
from crysformer.data.check import check
from crysformer.data.export import export
from crysformer.data.manifest import Manifest
from crysformer.data.recipe import DIPEPTIDE, FIFTEEN, Recipe
from crysformer.data.store import FragmentStore, FragmentTable

__all__ = [
    "DIPEPTIDE",
    "FIFTEEN",
    "FragmentStore",
    "FragmentTable",
    "Manifest",
    "Recipe",
    "build",
    "check",
    "export",
]
