"""Correlations of a model's amplitudes with the measured ones."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.tracing.from_amplitudes import map_of
from crysformer.building.tracing.trace import trace
from crysformer.crystal.normalisation import normalized_amplitudes
from crysformer.crystal.reflections import CrystalData
from crysformer.evaluation.building.result import PolyAlanine
from crysformer.peptide.chain import parse_chain


def amplitude_correlations(
    data: CrystalData, amplitudes: NDArray[np.float64]
) -> tuple[float, float]:
    """Correlations of amplitudes F, and of normalised amplitudes E, with the measured ones.

    Amplitudes fall off with resolution in any structure, so that the first is high for a wrong
    model as well; the second is near zero for it.

    Parameters
    ----------
    data
        The crystal.
    amplitudes
        Those of a model, shape (n,), on any scale.
    """
    used = data.measured
    f, g, d = data.f[used], amplitudes[used], data.d[used]
    e = (normalized_amplitudes(f, d), normalized_amplitudes(g, d))
    return float(np.corrcoef(f, g)[0, 1]), float(np.corrcoef(*e)[0, 1])


def model_amplitudes(structure: gemmi.Structure, data: CrystalData) -> NDArray[np.float64]:
    """Amplitudes of a model's atoms at the reflections of the data, shape (n,)."""
    return np.abs(atomic_structure_factors(in_crystal(structure, data), data))


def poly_alanine_trace(
    data: CrystalData,
    F: NDArray[np.complex128],
    sequences: Sequence[str],
    deadline: float,
    seed: int,
) -> PolyAlanine | None:
    """Trace chains of alanines, as many and as long as the sequences, in a map.

    Parameters
    ----------
    data
        The crystal.
    F
        Map coefficients at its reflections, shape (n,).
    sequences
        The chains, of which nothing but the length is used.
    deadline, seed
        As `crysformer.building.tracing.trace.trace`.
    """
    alanines = ["A" * len(parse_chain(sequence).letters) for sequence in sequences]
    model = trace(map_of(data, F), alanines, data.d_min, deadline, seed, radiation=data.radiation)
    if model is None:
        return None
    cc_f, cc_e = amplitude_correlations(data, model_amplitudes(model.structure, data))
    return PolyAlanine(cc_f, cc_e, len(model.peptides.codes))
