"""From deposited structures to standardised fragments, crystals and training examples."""

from crysformer.data.dataset.build import build
from crysformer.data.dataset.check import check
from crysformer.data.dataset.export import export
from crysformer.data.dataset.manifest import Manifest
from crysformer.data.dataset.recipe import DIPEPTIDE, FIFTEEN, Recipe
from crysformer.data.dataset.store import FragmentStore, FragmentTable

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
