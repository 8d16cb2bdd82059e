"""A data set of a few peptides, made without any file from outside."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data.dataset.store import COORDINATE_STEP, FRAGMENTS, MANIFEST, SCHEMA
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates


@pytest.fixture(scope="session")
def dipeptides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of residue conformers side by side: crystals enough to train on, not chemistry."""
    coordinates = template_coordinates()
    names = dict(zip(residues.CODES, residues.NAMES, strict=True))
    rows = []
    for i, (one, two) in enumerate(itertools.product("GASVC", repeat=2)):
        first, second = coordinates[names[one]], coordinates[names[two]]
        xyz = np.concatenate((first, second + np.array([3.8, 0.4 * (i % 5), 0.0])))
        xyz -= xyz.mean(0)
        rows.append(
            {
                "id": f"test_{i}",
                "entry": f"t{i:03}",
                "chain": "A",
                "start": 0,
                "seqid": "1-2",
                "cluster": str(i),
                "split": ("train", "train", "train", "validation", "test")[i % 5],
                "sequence": one + two,
                "cell": [10.0, 8.0, 7.0],
                "xyz": np.round(xyz / COORDINATE_STEP).astype(np.int16).ravel().tolist(),
            }
        )
    folder = tmp_path_factory.mktemp("dipeptides")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / FRAGMENTS)
    digest = hashlib.sha256((folder / FRAGMENTS).read_bytes()).hexdigest()
    manifest = {
        "recipe": "dipeptide",
        "hashes": {FRAGMENTS: digest},
        "scales": {"density": {"scale": 4.0}, "patterson": {"scale": 120.0}},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder
