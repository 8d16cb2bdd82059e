"""Reflections as a data set of reciprocalspaceship, where that is installed."""

from __future__ import annotations

import importlib
from typing import Any

import gemmi

from crysformer.errors import UsageError


def to_dataset(mtz: gemmi.Mtz) -> Any:
    """Convert an MTZ to a ``reciprocalspaceship.DataSet``, indexed by H, K and L.

    Returns
    -------
    reciprocalspaceship.DataSet
        With cell, space group and a typed column for each of the MTZ.

    Raises
    ------
    UsageError
        If reciprocalspaceship is not installed.
    """
    try:
        reciprocalspaceship = importlib.import_module("reciprocalspaceship")
    except ImportError as error:
        raise UsageError(
            "a reciprocalspaceship data set needs that package: pip install "
            "'crysformer[reciprocalspaceship]'"
        ) from error
    return reciprocalspaceship.DataSet.from_gemmi(mtz)
