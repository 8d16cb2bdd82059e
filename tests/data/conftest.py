"""The repository's sample structures, and data sets built from them."""

from __future__ import annotations

import gzip
from pathlib import Path

import gemmi
import pytest

from crysformer.data import FragmentStore, build

STRUCTURES = Path(__file__).parents[2] / "samples" / "structures"


@pytest.fixture(scope="session")
def structures() -> Path:
    return STRUCTURES


@pytest.fixture(scope="session")
def dipeptides(tmp_path_factory: pytest.TempPathFactory) -> FragmentStore:
    folder = tmp_path_factory.mktemp("dipeptide") / "data"
    build([STRUCTURES], folder, "dipeptide")
    return FragmentStore.open(folder)


@pytest.fixture(scope="session")
def fifteens(tmp_path_factory: pytest.TempPathFactory) -> FragmentStore:
    folder = tmp_path_factory.mktemp("fifteen") / "data"
    build([STRUCTURES], folder, "fifteen")
    return FragmentStore.open(folder)


@pytest.fixture
def chain() -> gemmi.Structure:
    """A fresh copy of a real chain of 57 residues, without faults."""
    text = gzip.decompress((STRUCTURES / "1shg_A.pdb.gz").read_bytes())
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    return structure
