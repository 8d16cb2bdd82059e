"""Crystals that the sequence search refuses."""

from collections.abc import Callable
from typing import Any

import pytest

from crysformer.errors import CrysformerError
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.sequence_search.applicability import TooLarge, check_size
from crysformer.phasing.solver import solve

VALINE_ALANINE = 0


def test_what_is_too_large_or_unknown_is_refused(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(VALINE_ALANINE).data
    with pytest.raises(TooLarge, match="sequence"):
        check_size(cell_content(data))
    with pytest.raises(CrysformerError, match="sequence"):
        solve(data, method="sequence", time_limit=5.0)
