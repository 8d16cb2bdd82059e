"""Related entries never stand on two sides."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crysformer.data.dataset.entries import Entry
from crysformer.data.dataset.sequences import SHARED, stretches
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


def random_sequence(random: Random, length: int = 60) -> str:
    return "".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=length))


def test_stretches() -> None:
    assert list(stretches("A" * (SHARED - 1))) == []
    assert len(list(stretches("ACDEFGHIKLMNPQRSTVWY"))) == 20 - SHARED + 1
    assert list(stretches("ACDEFGHIKLXNPQRSTVWYACDEFG")) == ["NPQRSTVWYACDEFG"]


def test_equal_chains_without_an_index_share_a_split() -> None:
    random = Random(0)
    for seed in range(30):
        chain = random_sequence(random)
        known = [(f"copy {i}", [chain]) for i in range(8)]
        splitter = Splitter([], seed, known)
        assert len({splitter.split(name) for name, _ in known}) == 1
        assert {splitter.group(name) for name, _ in known} == {"copy 0"}


def test_a_shared_stretch_joins_clusters() -> None:
    """One of another cluster with 15 residues in common, not one with 14."""
    random = Random(1)
    moved = 0
    for seed in range(60):
        one, other, third = (random_sequence(random) for _ in range(3))
        entries = [Entry(name, cluster=f"c{name}") for name in "abc"]
        known = [
            ("a", [one]),
            ("b", [other + one[20 : 20 + SHARED]]),
            ("c", [third + ("W" if one[9] != "W" else "Y") + one[10 : 10 + SHARED - 1]]),
        ]
        by_cluster, splitter = Splitter(entries, seed), Splitter(entries, seed, known)
        assert splitter.split("a") == splitter.split("b")
        assert splitter.group("a") == splitter.group("b") == "ca"
        assert (splitter.group("c"), splitter.split("c")) == ("cc", by_cluster.split("c"))
        moved += by_cluster.split("a") != by_cluster.split("b")
    assert moved > 3


def test_held_out_entries_stay_those_that_no_weights_have_seen() -> None:
    """Sequences move entries towards training only."""
    random = Random(2)
    rank = {"train": 0, "validation": 1, "test": 2}
    for seed in range(20):
        chains = [random_sequence(random) for _ in range(30)]
        entries = [Entry(f"e{i}", cluster=f"c{i // 2}") for i in range(60)]
        known = [(f"e{i}", [chains[random.randrange(30)]]) for i in range(60)]
        before, after = Splitter(entries, seed), Splitter(entries, seed, known)
        for entry in entries:
            assert rank[after.split(entry.name)] <= rank[before.split(entry.name)]
            unrelated = after.group(entry.name) == before.group(entry.name)
            assert not unrelated or after.split(entry.name) in ("train", before.split(entry.name))
