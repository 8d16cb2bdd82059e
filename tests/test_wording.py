"""Numbers with their nouns."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.wording import build_command, counted, r_factors_text


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


def test_a_command_is_quoted_for_a_shell() -> None:
    assert build_command(Path("out")) == "crysformer build out -o NEW"
    ring = build_command(Path("a b"), "cyclo-(LF)")
    assert ring == "crysformer build 'a b' --sequence 'cyclo-(LF)' -o NEW"


def test_r_factors_of_one_model_and_of_the_folds_are_not_mixed() -> None:
    none = {"r_work": 0.2, "r_free": None, "n_free": 0}
    assert r_factors_text(none) == "Rwork 0.200, no free reflections"
    free = {"r_work": 0.2, "r_free": 0.25, "n_free": 40, "r_free_error": 0.0279}
    assert r_factors_text(free) == "Rwork 0.200, Rfree 0.250 +- 0.028 (40 free)"
    fold = {"r_work": 0.19, "r_free": 0.27, "r_free_error": 0.01, "folds": 5}
    folded = r_factors_text({**free, "r_free_k_fold": fold})
    assert folded == "Rwork 0.200; 5-fold Rwork 0.190, Rfree 0.270 +- 0.010"
