"""Tracing where amplitudes are measured: in the map as it is, and density-modified."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crysformer.building.tracing.density_improvement import modified_phases
from crysformer.building.tracing.settings import TracingSettings
from crysformer.building.tracing.trace import trace
from crysformer.building.tracing.traced_model import TracedModel
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.peak_picking import map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData

_SAMPLE_RATE = 3.0
_FOR_FIRST = 0.5  # fraction of the time, at most, for the map as it is


def trace_with_amplitudes(
    data: CrystalData,
    F: NDArray[np.complex128],
    sequences: Sequence[str],
    deadline: float = math.inf,
    seed: int = 0,
    settings: TracingSettings | None = None,
    *,
    either_hand: bool = False,
) -> TracedModel | None:
    """Trace the map of some phases, and the density-modified map unless the model fits already.

    Parameters
    ----------
    data
        The crystal.
    F
        Weighted map coefficients at its reflections, complex, shape (n_data,); zero or NaN where
        there is no phase.
    sequences, deadline, seed, settings, either_hand
        As `trace`.

    Returns
    -------
    The model with the higher correlation of |E|, or None where there is none.

    Raises
    ------
    InputError
        As `trace`, or if the chains do not fit into the cell.
    """
    began = time.monotonic()
    models = trace_each_map(data, F, sequences, deadline, seed, settings, either_hand=either_hand)
    if not models:
        return None
    return replace(better_trace(models), seconds=time.monotonic() - began)


def trace_each_map(
    data: CrystalData,
    F: NDArray[np.complex128],
    sequences: Sequence[str],
    deadline: float = math.inf,
    seed: int = 0,
    settings: TracingSettings | None = None,
    *,
    either_hand: bool = False,
) -> list[TracedModel]:
    """Models of the map of some phases and, unless that fits already, of the modified map.

    If none is accepted, the last map is traced once more with peptide bonds that may be cis before
    any residue: about one in two thousand is, which breaks a chain of trans bonds.

    Arguments and exceptions are those of `trace_with_amplitudes`. `TracedModel.modified` tells the
    maps apart; a map in which no chain was traced has no model.
    """
    settings = settings or TracingSettings()

    def traced(coefficients: NDArray[np.complex128], until: float, *, cis: bool = False) -> None:
        found = trace(
            map_of(data, coefficients), sequences, data.d_min, until, seed, settings,
            either_hand=either_hand, any_cis=cis, radiation=data.radiation,
        )  # fmt: skip
        if found is not None:
            models.append(replace(found, modified=coefficients is not F))

    models: list[TracedModel] = []
    began = time.monotonic()
    traced(F, min(deadline, began + _FOR_FIRST * (deadline - began)))
    best = F
    if settings.modification and not _convincing(models, settings):
        best = modified_phases(data, F, sequences, settings.modification, seed, deadline)
        traced(best, deadline)
    if models and not any(m.accepted for m in models) and time.monotonic() < deadline:
        traced(best, deadline, cis=True)
    return models


def _convincing(models: Sequence[TracedModel], settings: TracingSettings) -> bool:
    return any(m.amplitude_correlation >= settings.convincing for m in models)


def better_trace(models: Sequence[TracedModel]) -> TracedModel:
    """Return the model with the highest correlation of |E|."""
    return max(models, key=lambda m: m.amplitude_correlation)


def map_of(data: CrystalData, F: NDArray[np.complex128]) -> DensityMap:
    """Map of coefficients at the data's reflections, shape (n_data,), on an arbitrary scale."""
    values = map_on_grid(data, np.nan_to_num(F[data.measured]), symmetric_shape(data, _SAMPLE_RATE))
    return DensityMap(values.astype(np.float32), data.cell, data.space_group)
