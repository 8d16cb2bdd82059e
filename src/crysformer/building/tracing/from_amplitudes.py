"""Tracing where amplitudes are measured: in the map as it is, density-modified, and inverted."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.tracing.density_improvement import modified_phases
from crysformer.building.tracing.settings import TracingSettings
from crysformer.building.tracing.trace import trace
from crysformer.building.tracing.traced_model import TracedModel
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.peak_picking import map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import mirror_shift

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
    sequences, deadline, seed, settings
        As `trace`.
    either_hand
        Also trace the inverse of the map if no model in the map is accepted. Amplitudes do not
        tell the two apart, so that phases may be of either hand; only in groups that are
        consistent with both (`has_either_hand`).

    Returns
    -------
    The best model (`better_trace`), or None where there is none.

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

    If none is accepted, the inverse of the last map is traced with `either_hand`; and if that is
    not accepted either, the last map once more with peptide bonds that may be cis before any
    residue (about one in two thousand is, which breaks a chain of trans bonds), and its inverse.

    Arguments and exceptions are those of `trace_with_amplitudes`. `TracedModel.modified` and
    `TracedModel.inverted` tell the maps apart; a map in which no chain was traced has no model.
    """
    settings = settings or TracingSettings()

    def traced(
        coefficients: NDArray[np.complex128],
        until: float,
        *,
        cis: bool = False,
        inverse: bool = False,
    ) -> None:
        turned = inverse_coefficients(data, coefficients) if inverse else coefficients
        found = trace(
            map_of(data, turned), sequences, data.d_min, until, seed, settings,
            any_cis=cis, radiation=data.radiation,
        )  # fmt: skip
        if found is not None:
            models.append(replace(found, modified=coefficients is not F, inverted=inverse))

    models: list[TracedModel] = []
    began = time.monotonic()
    traced(F, min(deadline, began + _FOR_FIRST * (deadline - began)))
    best = F
    if settings.modification and not _convincing(models, settings):
        best = modified_phases(data, F, sequences, settings.modification, seed, deadline)
        traced(best, deadline)
    hands = (False, True) if either_hand and has_either_hand(data.space_group) else (False,)
    more = [(cis, inverse) for cis in (False, True) for inverse in hands if cis or inverse]
    for cis, inverse in more if models else ():
        if any(m.accepted for m in models) or time.monotonic() >= deadline:
            break
        traced(best, deadline, cis=cis, inverse=inverse)
    return models


def _convincing(models: Sequence[TracedModel], settings: TracingSettings) -> bool:
    return any(m.amplitude_correlation >= settings.convincing for m in models)


def better_trace(models: Sequence[TracedModel]) -> TracedModel:
    """Return the model with the highest correlation of |E|.

    One in the inverse of the map counts only if it is accepted, and the others are not.
    """
    of_map = [m for m in models if not m.inverted]
    inverse = [m for m in models if m.inverted and m.accepted]
    if inverse and not any(m.accepted for m in of_map):
        of_map = inverse
    return max(of_map, key=lambda m: m.amplitude_correlation)


def has_either_hand(group: gemmi.SpaceGroup) -> bool:
    """Whether a structure of one hand and its mirror image are both consistent with a group.

    They are not of an enantiomorphic pair such as P41 and P43; where the group has a mirror, a
    glide or a centre they are in one crystal.
    """
    return bool(group.is_sohncke() and not group.is_enantiomorphic())


def inverse_coefficients(data: CrystalData, F: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Coefficients of the mirror image, complex, shape (n_data,), in the same space group.

    Its centre is the origin, or the one that the group needs, such as (0, 1/4, 0) in I41.
    """
    shift = data.hkl @ mirror_shift(data.space_group)
    return np.asarray(F.conj() * np.exp(2j * np.pi * shift), dtype=np.complex128)


def map_of(data: CrystalData, F: NDArray[np.complex128]) -> DensityMap:
    """Map of coefficients at the data's reflections, shape (n_data,), on an arbitrary scale."""
    values = map_on_grid(data, np.nan_to_num(F[data.measured]), symmetric_shape(data, _SAMPLE_RATE))
    return DensityMap(values.astype(np.float32), data.cell, data.space_group)
