"""The repository's sample structures, and data sets built from them."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest

from crysformer.data import FragmentStore, build
from crysformer.data.molecule import Molecule
from crysformer.testing import sound_chain, structures_folder


@pytest.fixture(scope="session")
def structures() -> Path:
    return structures_folder()


@pytest.fixture(scope="session")
def dipeptides(tmp_path_factory: pytest.TempPathFactory) -> FragmentStore:
    folder = tmp_path_factory.mktemp("dipeptide") / "data"
    build([structures_folder()], folder, "dipeptide")
    return FragmentStore.open(folder)


@pytest.fixture(scope="session")
def fifteens(tmp_path_factory: pytest.TempPathFactory) -> FragmentStore:
    folder = tmp_path_factory.mktemp("fifteen") / "data"
    build([structures_folder()], folder, "fifteen")
    return FragmentStore.open(folder)


@pytest.fixture(scope="session")
def fifteen(fifteens: FragmentStore) -> Molecule:
    return fifteens.table("test").molecule(0)


@pytest.fixture
def chain() -> gemmi.Structure:
    """A fresh copy of a real chain of 57 residues, without faults."""
    return sound_chain()
