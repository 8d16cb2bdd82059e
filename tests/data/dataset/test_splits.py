"""Related entries never stand on two sides."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from crysformer.data.dataset.entries import Entry
from crysformer.data.dataset.splits import Splitter

rows = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(
        lambda pair: Entry(f"e{pair[0]}", cluster=f"c{pair[1]}")
    ),
    max_size=60,
)


@given(rows, st.integers(0, 5), st.randoms())
def test_shared_cluster_or_entry_means_one_split(entries: list[Entry], seed: int, random) -> None:  # type: ignore[no-untyped-def]
    splitter = Splitter(entries, seed)
    for key in ("name", "cluster"):
        sides: dict[str, set[str]] = {}
        for entry in entries:
            sides.setdefault(getattr(entry, key), set()).add(splitter.split(entry.name))
        assert all(len(side) == 1 for side in sides.values())
    shuffled = random.sample(entries, len(entries))
    other = Splitter(shuffled, seed)
    assert all(other.split(e.name) == splitter.split(e.name) for e in entries)


def test_fractions() -> None:
    splitter = Splitter([], seed=0)
    counts = Counter(splitter.split(f"entry{i}") for i in range(20_000))
    assert abs(counts["train"] / 20_000 - 0.9) < 0.01
    assert abs(counts["validation"] / 20_000 - 0.05) < 0.01


def test_seed_matters() -> None:
    names = [f"entry{i}" for i in range(200)]
    one, other = ([Splitter([], s).split(n) for n in names] for s in (0, 1))
    assert one != other


def test_recorded_name_joins() -> None:
    entries = [Entry(f"p{i}", recorded_as="partners of x", cluster=f"c{i}") for i in range(40)]
    splitter = Splitter(entries, seed=3)
    assert len({splitter.split(e.name) for e in entries}) == 1


def test_large_families_train() -> None:
    for seed in range(40):
        family = [Entry(f"e{i}", cluster="c") for i in range(60)]
        assert Splitter(family, seed).split("e0") == "train"
