"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from crysformer.wording import counted


@pytest.mark.parametrize(
    ("n", "forms", "text"),
    [
        (0, ("crystal",), "0 crystals"),
        (1, ("crystal",), "1 crystal"),
        (2, ("crystal",), "2 crystals"),
        (1, ("batch", "batches"), "1 batch"),
        (3, ("batch", "batches"), "3 batches"),
        (1, ("reflection is", "reflections are"), "1 reflection is"),
    ],
)
def test_counted(n: int, forms: tuple[str, ...], text: str) -> None:
    assert counted(n, *forms) == text
