"""Windows along chains: which residues they hold, and that every loss is counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.data.dataset.fragment_windows import window_starts
from crysformer.data.dataset.standardise import FAULTS, Chain


def make_chain(fault: list[int], bonded: list[bool]) -> Chain:
    n = len(fault)
    return Chain(
        name="A",
        code=np.zeros(n, dtype=np.uint8),
        seqid=tuple(map(str, range(n))),
        xyz=np.zeros((n, 14, 3)),
        fault=np.array(fault, dtype=np.uint8),
        bonded=np.array(bonded, dtype=bool),
        length=n,
    )


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    n = draw(st.integers(1, 60))
    fault = draw(st.lists(st.sampled_from([0] * 9 + [1, 3]), min_size=n, max_size=n))
    bonded = draw(st.lists(st.sampled_from([True] * 9 + [False]), min_size=n - 1, max_size=n - 1))
    return make_chain(fault, bonded)


@given(chains(), st.sampled_from([(2, 1), (2, 2), (15, 12), (5, 3)]))
def test_windows_are_sound_and_losses_add_up(chain: Chain, kind: tuple[int, int]) -> None:
    length, stride = kind
    discards: Counter[str] = Counter()
    starts = window_starts(chain, length, stride, discards)
    for start in starts:
        assert not chain.fault[start : start + length].any()
        assert chain.bonded[start : start + length - 1].all()
    assert (np.diff(starts) >= stride).all()
    positions = max(len(chain.code) - length + 1, 0)
    assert len(starts) + sum(discards.values()) == positions


@given(chains())
def test_training_takes_every_adjacent_pair(chain: Chain) -> None:
    starts = window_starts(chain, 2, 1, Counter())
    sound = chain.fault == 0
    expected = np.flatnonzero(sound[:-1] & sound[1:] & chain.bonded)
    assert starts.tolist() == expected.tolist()


@pytest.mark.parametrize(("n", "expected"), [(14, []), (15, [0]), (26, [0]), (27, [0, 12])])
def test_fifteen_residues_share_three(n: int, expected: list[int]) -> None:
    chain = make_chain([0] * n, [True] * (n - 1))
    assert window_starts(chain, 15, 12, Counter()).tolist() == expected


def test_reason_is_the_first_fault_inside() -> None:
    discards: Counter[str] = Counter()
    window_starts(make_chain([0, 3, 1, 0], [True] * 3), 2, 1, discards)
    assert FAULTS[3] == "residue_missing_atom"
    assert discards["window_with_residue_missing_atom"] == 2
    assert discards["window_with_residue_nonstandard"] == 1
