"""Fragment tables against the structures they come from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.data import FragmentStore
from crysformer.data.store import COORDINATE_STEP, FRAGMENTS, SPLITS
from crysformer.errors import InputError
from crysformer.peptide import residues


@pytest.mark.parametrize("name", ["dipeptides", "fifteens"])
def test_fragments_are_pieces_of_the_deposited_chain(
    name: str, structures: Path, request: pytest.FixtureRequest
) -> None:
    table = request.getfixturevalue(name).table("test")
    for i in range(0, len(table), max(1, len(table) // 20)):
        path = structures / f"{table.entry[i]}_{table.chain[i]}.pdb.gz"
        chain = gemmi.read_structure(str(path))[0][table.chain[i]]
        piece = list(chain)[table.start[i] : table.start[i] + len(table.sequence[i])]
        assert gemmi.one_letter_code([r.name for r in piece]) == table.sequence[i]
        expected = [r[n][0] for r in piece for n in residues.ATOMS[residues.INDEX[r.name]]]
        rows = table.atoms(i)
        assert table.atom_names(i) == [a.name for a in expected]
        assert table.number[rows].tolist() == [a.element.atomic_number for a in expected]
        deposited = np.array([a.pos.tolist() for a in expected])
        stored = table.xyz[rows].astype(float)
        rotation = gemmi.superpose_positions(
            [gemmi.Position(*p) for p in stored], [gemmi.Position(*p) for p in deposited]
        )
        assert rotation.rmsd < COORDINATE_STEP  # superposition never mirrors
        per_residue = np.bincount(table.residue[rows], minlength=len(piece))
        assert per_residue.tolist() == [len(residues.ATOMS[residues.INDEX[r.name]]) for r in piece]


def test_splits_share_nothing(dipeptides: FragmentStore) -> None:
    tables = [dipeptides.table(split) for split in SPLITS]
    for column in ("entry", "cluster", "id"):
        values = [set(getattr(table, column)) for table in tables]
        assert not values[0] & values[1]
        assert not values[0] & values[2]
        assert not values[1] & values[2]


def test_both_recipes_split_alike(dipeptides: FragmentStore, fifteens: FragmentStore) -> None:
    for split in SPLITS:
        assert set(fifteens.table(split).entry) <= set(dipeptides.table(split).entry)


def test_missing_and_damaged_folders(tmp_path: Path, dipeptides: FragmentStore) -> None:
    with pytest.raises(InputError, match=r"no manifest\.json inside"):
        FragmentStore.open(tmp_path)
    (tmp_path / "manifest.json").write_bytes((dipeptides.folder / "manifest.json").read_bytes())
    (tmp_path / FRAGMENTS).write_bytes(b"PAR1 nonsense")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        FragmentStore.open(tmp_path).table("test")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        FragmentStore.open(tmp_path)


@pytest.mark.parametrize("value", [10**400, 0, -1.0, "1", None, [1.0]])
def test_scales_that_are_none(value: object, dipeptides: FragmentStore) -> None:
    manifest = {**dipeptides.manifest, "scales": {"density": {"scale": value}}}
    with pytest.raises(InputError, match="has no scale of the density maps"):
        dataclasses.replace(dipeptides, manifest=manifest).scale("density")
