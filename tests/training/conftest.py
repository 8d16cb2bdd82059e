"""A data set of a few pairs of residues."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.testing import conformer_pairs, write_data_set


@pytest.fixture(scope="session")
def dipeptides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("dipeptides"), "dipeptide", conformer_pairs())
