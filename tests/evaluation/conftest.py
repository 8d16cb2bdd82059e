"""A small data set of dipeptides cut from the 15-residue fragments in tests/samples."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data.recipe import DIPEPTIDE
from crysformer.data.residues import ATOMS, INDEX
from crysformer.data.store import COORDINATE_STEP, FRAGMENTS, MANIFEST, SCHEMA, FragmentStore
from crysformer.data.synthetic import SyntheticCrystal, synthetic_crystal

SAMPLES = Path(__file__).parents[1] / "samples"


def dipeptides(path: Path) -> list[dict[str, object]]:
    """Disjoint pairs of residues as rows of the fragment schema."""
    structure = gemmi.read_structure(str(path))
    residues = [r for r in structure[0][0] if r.name in INDEX]
    rows = []
    for start in range(0, len(residues) - 1, 2):
        pair = residues[start : start + 2]
        xyz = np.array([r[name][0].pos.tolist() for r in pair for name in ATOMS[INDEX[r.name]]])
        steps = np.round((xyz - xyz.mean(axis=0)) / COORDINATE_STEP).astype(np.int16)
        rows.append(
            {
                "id": f"{path.stem}_{start}",
                "entry": path.stem,
                "chain": "A",
                "start": start,
                "seqid": str(pair[0].seqid),
                "cluster": path.stem,
                "split": "test",
                "sequence": gemmi.one_letter_code([r.name for r in pair]),
                "cell": [10.0, 9.0, 8.0],
                "xyz": steps.ravel().tolist(),
            }
        )
    return rows


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data_set")
    rows = [row for path in sorted(SAMPLES.glob("*_15mer.pdb")) for row in dipeptides(path)]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / FRAGMENTS)
    (folder / MANIFEST).write_text(json.dumps({"recipe": "dipeptide"}))
    return folder


@pytest.fixture(scope="session")
def crystal(data_set: Path) -> SyntheticCrystal:
    return synthetic_crystal(FragmentStore.open(data_set).table("test"), 0, DIPEPTIDE)
