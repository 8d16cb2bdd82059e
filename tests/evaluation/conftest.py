"""Small data sets of the 15-residue fragments in tests/samples, whole and cut into dipeptides."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data.recipe import DIPEPTIDE
from crysformer.data.store import COORDINATE_STEP, FRAGMENTS, MANIFEST, SCHEMA, FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal
from crysformer.peptide.residues import ATOMS, INDEX

SAMPLES = Path(__file__).parents[1] / "samples"


def fragments(path: Path, length: int) -> list[dict[str, object]]:
    """Disjoint runs of `length` residues as rows of the fragment schema."""
    structure = gemmi.read_structure(str(path))
    residues = [r for r in structure[0][0] if r.name in INDEX]
    rows = []
    for start in range(0, len(residues) - length + 1, length):
        run = residues[start : start + length]
        xyz = np.array([r[name][0].pos.tolist() for r in run for name in ATOMS[INDEX[r.name]]])
        steps = np.round((xyz - xyz.mean(axis=0)) / COORDINATE_STEP).astype(np.int16)
        rows.append(
            {
                "id": f"{path.stem}_{start}",
                "entry": path.stem,
                "chain": "A",
                "start": start,
                "seqid": str(run[0].seqid),
                "cluster": path.stem,
                "split": "test",
                "sequence": gemmi.one_letter_code([r.name for r in run]),
                "cell": [10.0, 9.0, 8.0],
                "xyz": steps.ravel().tolist(),
            }
        )
    return rows


def write_data_set(folder: Path, recipe: str, length: int) -> Path:
    rows = [row for path in sorted(SAMPLES.glob("*_15mer.pdb")) for row in fragments(path, length)]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / FRAGMENTS)
    (folder / MANIFEST).write_text(json.dumps({"recipe": recipe}))
    return folder


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data_set"), "dipeptide", 2)


@pytest.fixture(scope="session")
def fifteens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two fragments of 15 residues."""
    return write_data_set(tmp_path_factory.mktemp("fifteens"), "fifteen", 15)


@pytest.fixture(scope="session")
def crystal(data_set: Path) -> SyntheticCrystal:
    return synthetic_crystal(FragmentStore.open(data_set).table("test"), 0, DIPEPTIDE)
