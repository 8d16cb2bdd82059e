"""Training, validation and test splits by entry, by sequence cluster, and by shared sequences."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from crysformer.data.dataset.entries import Entry
from crysformer.data.dataset.sequences import stretches
from crysformer.data.store import Split

#: Fractions of the groups of entries used for validation and test; the rest trains.
VALIDATION_FRACTION = 0.05
TEST_FRACTION = 0.05

#: A group with more index rows than this, and more than this fraction of all, always trains:
#: in one of the small splits, a single family would dominate it.
_LARGE_GROUP = 50
_LARGE_GROUP_FRACTION = 0.01


class Splitter:
    """Assigns entries to splits so that related entries are in the same split.

    Entries that share a cluster or a recorded name, directly or through others, form one group,
    named by its alphabetically first cluster. A hash of seed and group name places the whole
    group, except that the few largest groups always train.

    Groups whose sequences share a stretch of 15 residues are a family, and stay together: it
    trains if one of its groups would, else it validates if one would. So the test entries are
    always some of those without regard to sequences, and weights trained on the others have seen
    none of them. Without clusters there is nothing to agree with, and the hash of its
    alphabetically first name places a family.

    Parameters
    ----------
    entries
        All rows of an index: one entry may have several, with different clusters.
    seed
        Seed of the hash.
    sequences
        Entries, by name, and the sequences of their chains.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        seed: int,
        sequences: Iterable[tuple[str, Iterable[str]]] = (),
    ) -> None:
        self._seed = seed
        self._groups = _Sets()
        rows = list(entries)
        for entry in rows:
            if entry.cluster is not None:
                self._groups.join(f"entry {entry.name}", f"cluster {entry.cluster}")
            if entry.recorded_as is not None:
                self._groups.join(f"entry {entry.name}", f"recorded {entry.recorded_as}")
        names = [entry.name for entry in rows]
        self._families = _Sets()
        first: dict[str, str] = {}
        for name, chains in sequences:
            group = self._root(name)
            for sequence in chains:
                for stretch in stretches(sequence):
                    self._families.join(group, first.setdefault(stretch, group))
        self._members: dict[str, set[str]] = {}
        for group in set(first.values()) | {self._root(name) for name in names}:
            self._members.setdefault(self._families.root(group), set()).add(group)
        sizes = Counter(self._families.root(self._root(name)) for name in names)
        limit = max(_LARGE_GROUP, _LARGE_GROUP_FRACTION * len(rows))
        self._large = {family for family, size in sizes.items() if size > limit}

    def group(self, entry: str) -> str:
        """Name of the family an entry belongs to; one that shares nothing is its own."""
        return self._families.root(self._root(entry)).split(" ", 1)[1]

    def split(self, entry: str) -> Split:
        """The split of an entry."""
        family = self._families.root(self._root(entry))
        if family in self._large:
            return "train"
        members = self._members.get(family, {family})
        if not any(member.startswith("cluster ") for member in members):
            return self._by_hash(family)
        votes = {self._by_hash(member) for member in members}
        order: tuple[Split, ...] = ("train", "validation", "test")
        return next(split for split in order if split in votes)

    def _root(self, entry: str) -> str:
        return self._groups.root(f"entry {entry}")

    def _by_hash(self, group: str) -> Split:
        name = group.split(" ", 1)[1]
        digest = hashlib.sha256(f"{self._seed}:{name}".encode()).digest()
        u = int.from_bytes(digest[:8], "big") / 2**64
        if u < TEST_FRACTION:
            return "test"
        return "validation" if u < TEST_FRACTION + VALIDATION_FRACTION else "train"


class _Sets:
    """Disjoint sets of names, each named by its alphabetically first member."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, node: str) -> str:
        """Name of the set of a node."""
        path = []
        while (parent := self._parent.get(node, node)) != node:
            path.append(node)
            node = parent
        for passed in path:
            self._parent[passed] = node
        return node

    def join(self, one: str, other: str) -> None:
        """Unite the sets of two nodes."""
        a, b = sorted((self.root(one), self.root(other)))
        if a != b:
            # "cluster ..." sorts before "entry ...": the root is the first cluster of the group.
            self._parent[b] = a
