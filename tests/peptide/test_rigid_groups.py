"""The division of chains into rigid groups against the bond graph itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.rigid_groups import RigidGroupTree

SEQUENCE = st.builds(
    lambda start, letters, end: start + letters + end,
    st.sampled_from(["", "Ac-"]),
    st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=7),
    st.sampled_from(["", "-NH2"]),
)


def reachable(peptides: Peptides, start: int, without: set[frozenset[int]]) -> set[int]:
    """Atoms that bonds connect to `start` if some bonds are cut."""
    found, stack = {start}, [start]
    bonds = [bond for bond in peptides.bonds if frozenset(bond) not in without]
    while stack:
        atom = stack.pop()
        for bond in bonds:
            if atom in bond:
                other = bond[0] + bond[1] - atom
                if other not in found:
                    found.add(other)
                    stack.append(other)
    return found


@given(st.lists(SEQUENCE, min_size=1, max_size=3))
@settings(deadline=None, max_examples=25)
def test_groups_are_what_remains_when_all_rotatable_bonds_are_cut(sequences: list[str]) -> None:
    peptides = build_peptides(sequences)
    tree = RigidGroupTree.of(peptides)
    cut = {frozenset(t.atoms[1:3]) for t in peptides.torsions}
    for atom, group in enumerate(tree.group):
        together = set(np.flatnonzero(tree.group == group).tolist())
        assert reachable(peptides, atom, cut) == together
    assert tree.n_chains == len(sequences)
    assert len(tree.parent) == len(sequences) + len(peptides.torsions)


@given(st.lists(SEQUENCE, min_size=1, max_size=2))
@settings(deadline=None, max_examples=25)
def test_a_torsion_moves_the_side_of_its_bond_without_the_root(sequences: list[str]) -> None:
    peptides = build_peptides(sequences)
    tree = RigidGroupTree.of(peptides)
    moves = tree.moves()
    roots = {b for a, b in tree.hinge if a < 0}
    for k, torsion in enumerate(peptides.torsions):
        bond = frozenset(torsion.atoms[1:3])
        sides = [reachable(peptides, atom, {bond}) for atom in bond]
        (moved,) = [side for side in sides if not side & roots]
        assert set(np.flatnonzero(moves[tree.owner[k]]).tolist()) == moved
        assert set(tree.hinge[tree.owner[k]]) == bond
    for chain in range(tree.n_chains):
        np.testing.assert_array_equal(moves[chain], peptides.chain == chain)


def test_levels_follow_the_parents_and_the_root_is_in_the_middle() -> None:
    peptides = build_peptides(["GAVLK", "GG"])
    tree = RigidGroupTree.of(peptides)
    levels = [np.arange(tree.n_chains), *tree.levels()]
    assert np.concatenate(levels).tolist() == list(range(len(tree.parent)))
    for above, level in itertools.pairwise(levels):
        assert set(tree.parent[level].tolist()) <= set(above.tolist())
    assert [int(peptides.residue[b]) for _, b in tree.hinge[:2]] == [2, 6]


@pytest.mark.parametrize("sequence", ["G", "P", "Ac-P-NH2"])
def test_chains_of_one_residue(sequence: str) -> None:
    peptides = build_peptides([sequence])
    tree = RigidGroupTree.of(peptides)
    assert len(tree.owner) == len(peptides.torsions)
    assert tree.moves()[0].all()
