"""Figures of merit of a candidate; none of them needs to know the true phases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DensityFigures:
    """Figures of phases polished by density modification.

    Attributes
    ----------
    r
        R factor of the modified density against the measured amplitudes.
    free_correlation
        Correlation of normalised amplitudes held out of density modification with the measured
        ones, at most 1 (`crysformer.phasing.dual_space.free_correlation`).
    noise
        R factor that a perfect model would have, from SIGF; 0 without SIGF.
    reflections_per_volume
        Measured reflections to the volume of the cell, A^-3.
    """

    r: float
    free_correlation: float
    noise: float
    reflections_per_volume: float


@dataclass(frozen=True)
class AtomFigures(DensityFigures):
    """Figures of refined atoms.

    Attributes
    ----------
    reflections_per_atom
        Independent measured reflections to the atoms in the cell.
    """

    reflections_per_atom: float


@dataclass(frozen=True)
class SequenceFigures:
    """Figures of a refined peptide model.

    Attributes
    ----------
    r
        R factor.
    correlation
        Correlation of measured and calculated amplitudes in the search.
    overlap
        Penalty for atoms that are too close, in units of the correlation.
    log_likelihood_gain
        Log likelihood over that of the best model with different phases, divided by the number of
        reflections; 0 if there is no other model.
    z_free_correlation
        Correlation of normalised amplitudes held out of the search, in standard deviations above
        zero; 0 where too few reflections were measured to hold any out.
    reflections_per_parameter
        Measured reflections to refined parameters.
    noise
        R factor that a perfect model would have, from SIGF; 0 without SIGF.
    """

    r: float
    correlation: float
    overlap: float
    log_likelihood_gain: float
    z_free_correlation: float
    reflections_per_parameter: float
    noise: float


Figures = DensityFigures | AtomFigures | SequenceFigures
