from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crysformer.crystal.miller import IndexKeys, MillerLookup

TRIPLES = arrays(np.int32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(-6, 6))


@given(TRIPLES, TRIPLES)
def test_lookup_equals_a_dictionary(listed: np.ndarray, wanted: np.ndarray) -> None:
    reference: dict[tuple[int, ...], int] = {}
    for row, index in enumerate(listed.tolist()):
        reference.setdefault(tuple(index), row)
    # also indices outside the box of the list, whose keys are not unique
    every = np.concatenate([wanted, 7 * wanted, listed])
    expected = [reference.get(tuple(index), -1) for index in every.tolist()]
    assert MillerLookup(listed).rows(every).tolist() == expected


def test_an_empty_list_has_no_rows() -> None:
    nothing = np.zeros((0, 3), dtype=np.int32)
    assert MillerLookup(nothing).rows(np.array([[0, 0, 0], [1, 2, 3]])).tolist() == [-1, -1]
    assert MillerLookup(np.array([[1, 2, 3]])).rows(nothing).tolist() == []


@given(TRIPLES)
def test_keys_are_unique_odd_linear_and_can_be_inverted(hkl: np.ndarray) -> None:
    keys = IndexKeys.around(hkl, factor=2)
    assert len(np.unique(keys(hkl))) == len(np.unique(hkl, axis=0))
    np.testing.assert_array_equal(keys(-hkl), -keys(hkl))
    np.testing.assert_array_equal(keys(hkl + hkl[::-1]), keys(hkl) + keys(hkl)[::-1])
    np.testing.assert_array_equal(keys.triples(keys(2 * hkl)), 2 * hkl)
    assert keys.contains(2 * hkl).all()
    assert np.abs(keys(hkl)).max() <= keys.size // 2
