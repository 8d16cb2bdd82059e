"""Training, validation and test splits by entry and by sequence cluster."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from crysformer.data.dataset.entries import Entry
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

    Parameters
    ----------
    entries
        All rows of an index: one entry may have several, with different clusters.
    seed
        Seed of the hash.
    """

    def __init__(self, entries: Iterable[Entry], seed: int) -> None:
        self._seed = seed
        self._parent: dict[str, str] = {}
        rows = list(entries)
        for entry in rows:
            if entry.cluster is not None:
                self._join(f"entry {entry.name}", f"cluster {entry.cluster}")
            if entry.recorded_as is not None:
                self._join(f"entry {entry.name}", f"recorded {entry.recorded_as}")
        sizes = Counter(self.group(entry.name) for entry in rows)
        limit = max(_LARGE_GROUP, _LARGE_GROUP_FRACTION * len(rows))
        self._large = {group for group, size in sizes.items() if size > limit}

    def group(self, entry: str) -> str:
        """Name of the group an entry belongs to; one without a known cluster is its own."""
        return self._root(f"entry {entry}").split(" ", 1)[1]

    def split(self, entry: str) -> Split:
        """The split of an entry."""
        group = self.group(entry)
        if group in self._large:
            return "train"
        digest = hashlib.sha256(f"{self._seed}:{group}".encode()).digest()
        u = int.from_bytes(digest[:8], "big") / 2**64
        if u < TEST_FRACTION:
            return "test"
        return "validation" if u < TEST_FRACTION + VALIDATION_FRACTION else "train"

    def _root(self, node: str) -> str:
        path = []
        while (parent := self._parent.get(node, node)) != node:
            path.append(node)
            node = parent
        for passed in path:
            self._parent[passed] = node
        return node

    def _join(self, one: str, other: str) -> None:
        a, b = sorted((self._root(one), self._root(other)))
        if a != b:
            # "cluster ..." sorts before "entry ...": the root is the first cluster of the group.
            self._parent[b] = a
