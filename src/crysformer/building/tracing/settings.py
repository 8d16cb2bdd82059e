"""Settings of tracing."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.building.tracing.fitting import FitSettings
from crysformer.building.tracing.growing import GrowthSettings
from crysformer.building.tracing.peptide_units import SeedSettings
from crysformer.building.tracing.threading import ThreadingSettings
from crysformer.settings import setting, table


@dataclass(frozen=True)
class TracingSettings:
    """Tracing of chains of known sequence in a map."""

    spacing: float = setting(
        0.2,
        "Grid on which the map is interpolated: the coarser, the more are atoms drawn to its "
        "points.",
        unit="A",
        min=0.05,
        max=1.0,
    )
    most_points: int = setting(
        8_000_000, "Points of that grid at most; it is coarser in larger cells.", min=1000
    )
    longest: int = setting(
        40, "Residues grown from a seed in either direction at most.", min=2, max=1000
    )
    accepted: float = setting(
        0.65, "Probability from which a model counts as right.", min=0.0, max=1.0
    )
    convincing: float = setting(
        0.9,
        "Correlation of |E| of a model from which no density modification follows.",
        min=0.0,
        max=1.0,
    )
    modification: int = setting(
        15, "Iterations of density modification, where amplitudes are known.", min=0, max=1000
    )
    seeds: SeedSettings = table(SeedSettings, "Search for peptide units.")
    growth: GrowthSettings = table(GrowthSettings, "Growing of chains.")
    threading: ThreadingSettings = table(ThreadingSettings, "Threading of the sequence.")
    fit: FitSettings = table(FitSettings, "Real-space fit.")
