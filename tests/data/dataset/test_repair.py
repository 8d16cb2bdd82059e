"""Missing side-chain atoms: left out without repair, rebuilt by PDBFixer with it."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.data import FragmentStore, build, check
from crysformer.data.dataset.repair import rebuild_side_chains
from crysformer.data.dataset.standardise import standardize
from crysformer.errors import UsageError
from crysformer.peptide import residues

needs_pdbfixer = pytest.mark.skipif(
    importlib.util.find_spec("pdbfixer") is None, reason="PDBFixer is not installed"
)


def truncate(structure: gemmi.Structure, *numbers: int, keep: int = 4) -> None:
    """Cut residues to their first atoms: 4 leaves the backbone, 5 also CB."""
    for number in numbers:
        residue = structure[0][0][number]
        names = residues.ATOMS[residues.INDEX[residue.name]][keep:]
        for i in reversed(range(len(residue))):
            if residue[i].name in names:
                del residue[i]


def test_missing_atoms_are_found_and_counted(chain: gemmi.Structure, tmp_path: Path) -> None:
    truncate(chain, 10, 20)
    chain.write_pdb(str(tmp_path / "1shg_A.pdb"))
    manifest = build([tmp_path / "1shg_A.pdb"], tmp_path / "out", "dipeptide")
    assert manifest.discards["residue_missing_atom"] == 2
    assert manifest.repair is False


def test_absent_package_is_one_line(
    structures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "pdbfixer", None)  # an import of it fails
    with pytest.raises(UsageError, match="needs PDBFixer"):
        rebuild_side_chains_of_one(structures)
    argv = ["dataset", "build", str(structures), "-o", str(tmp_path / "out")]
    assert main([*argv, "--recipe", "dipeptide", "--repair"]) == 2
    error = capsys.readouterr().err
    assert "--repair needs PDBFixer" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def rebuild_side_chains_of_one(structures: Path) -> None:
    structure = gemmi.read_structure(str(structures / "1shg_A.pdb.gz"))
    structure.setup_entities()
    truncate(structure, 10)
    rebuild_side_chains(structure, Counter())


@needs_pdbfixer
def test_rebuilt_residues_have_standard_geometry(chain: gemmi.Structure) -> None:
    (true,) = standardize(chain, Counter())
    cut = [7, 10, 12, 20, 30, 41]
    truncate(chain, *cut[:3])
    truncate(chain, *cut[3:], keep=5)
    changes: Counter[str] = Counter()
    rebuild_side_chains(chain, changes)
    (rebuilt,) = standardize(chain, Counter())
    assert changes == {"residue_side_chain_rebuilt": 6}
    assert not rebuilt.fault.any()  # complete, and L
    others = [i for i in range(len(true.code)) if i not in cut]
    np.testing.assert_array_equal(rebuilt.xyz[others], true.xyz[others])
    np.testing.assert_array_equal(rebuilt.xyz[cut, :4], true.xyz[cut, :4])
    number = residues.NUMBERS[true.code]
    for i in cut:
        real = number[i] > 0
        expected, found = (_distances(c.xyz[i, real]) for c in (true, rebuilt))
        bonded = (expected > 0) & (expected < 2.0)
        assert abs(found - expected)[bonded].max() < 0.12
        assert np.linalg.norm(rebuilt.xyz[i, 4] - true.xyz[i, 4]) < 0.25  # CB
    everything = rebuilt.xyz[number > 0]
    assert np.sort(_distances(everything), axis=1)[:, 1].min() > 1.1


@needs_pdbfixer
def test_clashing_side_chain_is_not_kept(chain: gemmi.Structure) -> None:
    truncate(chain, 20)
    ca = chain[0][0][20][1].pos
    crowd = gemmi.Residue()
    crowd.name, crowd.seqid = "ALA", gemmi.SeqId(900, " ")
    for name, step in zip(("N", "CA", "C", "O"), np.eye(4, 3) * 1.2, strict=True):
        atom = gemmi.Atom()
        atom.name, atom.element = name, gemmi.Element(name[0])
        atom.pos = ca + gemmi.Position(*(step - 0.4))
        crowd.add_atom(atom)
    chain[0][0].add_residue(crowd)
    chain.setup_entities()
    changes: Counter[str] = Counter()
    rebuild_side_chains(chain, changes)
    assert changes["residue_side_chain_clashes_not_rebuilt"] >= 1
    assert len(chain[0][0][20]) == 4


def _distances(xyz: np.ndarray) -> np.ndarray:
    return np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)


@needs_pdbfixer
def test_what_cannot_be_rebuilt_stays(chain: gemmi.Structure) -> None:
    residue = chain[0][0][10]
    del residue[[atom.name for atom in residue].index("C")]  # a broken backbone
    chain[0][0][20][5].occ = 0.0
    changes: Counter[str] = Counter()
    rebuild_side_chains(chain, changes)
    assert changes == {}
    (after,) = standardize(chain, Counter())
    assert np.flatnonzero(after.fault).tolist() == [10, 20]


@needs_pdbfixer
def test_build_with_repair_is_reproducible(
    chain: gemmi.Structure, structures: Path, tmp_path: Path
) -> None:
    whole = build([structures / "1shg_A.pdb.gz"], tmp_path / "whole", "dipeptide")
    truncate(chain, 10, 20)
    source = tmp_path / "1shg_A.pdb"
    chain.write_pdb(str(source))
    first = build([source], tmp_path / "a", "dipeptide", repair=True)
    second = build([source], tmp_path / "b", "dipeptide", repair=True, jobs=2)
    assert first.hashes == second.hashes
    assert first.repair
    assert first.changes["residue_side_chain_rebuilt"] == 2
    assert "residue_missing_atom" not in first.discards
    assert first.counts["fragments"] == whole.counts["fragments"]
    assert first.versions["pdbfixer"]
    assert check(tmp_path / "a") == []
    assert FragmentStore.open(tmp_path / "a").manifest["repair"] is True
