"""The test kit: its data sets open, and it needs no test runner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crysformer.data import FragmentStore
from crysformer.samples import SAMPLES
from crysformer.testing import (
    conformer_pairs,
    fifteen_residue_models,
    model_fragments,
    sample,
    sound_chain,
    structures_folder,
    write_data_set,
)


def test_the_kit_needs_no_pytest() -> None:
    code = "import sys, crysformer.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_data_sets_open(tmp_path: Path) -> None:
    store = FragmentStore.open(write_data_set(tmp_path, "dipeptide", conformer_pairs()))
    assert [len(store.table(split)) for split in ("train", "validation", "test")] == [15, 5, 5]
    store = FragmentStore.open(write_data_set(tmp_path, "fifteen", model_fragments(15)))
    table = store.table("test")
    assert len(table) == len(fifteen_residue_models()) == 2
    assert table.codes.shape == (2, 15)
    np.testing.assert_allclose(table.molecule(0).xyz.mean(0), 0, atol=0.01)
    assert len(model_fragments(2)) == 14


def test_samples_are_found() -> None:
    assert sample("gf") in SAMPLES
    with pytest.raises(KeyError):
        sample("no such sample")
    assert (structures_folder() / "index.tsv").is_file()
    assert sum(1 for _ in sound_chain()[0][0]) >= 57
