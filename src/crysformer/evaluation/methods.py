"""The methods that can be measured, under one interface: a crystal in, phases out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.reflections import CrystalData

if TYPE_CHECKING:
    from crysformer.phasing.network.predict import Prediction


@dataclass(frozen=True)
class Settings:
    """What every method is given beside the crystal.

    Attributes
    ----------
    time_limit
        Seconds for one crystal.
    seed
        Of the random starts.
    device
        Where to compute.
    weights
        Of the network methods: packaged name or file; by default the packaged weights that fit.
    """

    time_limit: float = 120.0
    seed: int = 0
    device: str = "auto"
    weights: str | None = None


@dataclass(frozen=True, eq=False)
class Phasing:
    """What a method found.

    Attributes
    ----------
    phi
        Degrees, shape (n,) as the data's hkl; NaN where there is no phase.
    seconds
        Wall-clock time.
    density
        The map that the method hands out, if it is another than measured amplitudes with `phi`.
    claimed, confidence
        The method's own verdict, where it gives one.
    not_applicable
        Why the method does not apply to this crystal (then there is no phase), or empty.
    """

    phi: NDArray[np.float64]
    seconds: float
    density: DensityMap | None = None
    claimed: bool | None = None
    confidence: float | None = None
    not_applicable: str = ""


Method = Callable[[CrystalData, str, Settings], Phasing]


def _solver(name: str) -> Method:
    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        from crysformer.errors import InputError, NotApplicable
        from crysformer.phasing.solver import solve

        try:
            solution = solve(
                data,
                sequence=sequence,
                method=name,
                time_limit=settings.time_limit,
                seed=settings.seed,
                device=settings.device,
            )
        except (InputError, NotApplicable) as reason:  # too few amplitudes, say
            return _declined(data, str(reason))
        return Phasing(
            phi=solution.phi,
            seconds=solution.seconds,
            density=solution.density,
            claimed=solution.solved,
            confidence=solution.confidence,
        )

    return run


def _predicted(data: CrystalData, sequence: str, settings: Settings) -> Prediction | str:
    """The network's prediction, or why there is none."""
    from crysformer.errors import NotApplicable
    from crysformer.phasing.network.predict import predict

    try:
        return predict(
            data, sequence, settings.weights, settings.device, deadline=_deadline(settings)
        )
    except NotApplicable as reason:
        return str(reason)


def _declined(data: CrystalData, reason: str) -> Phasing:
    return Phasing(np.full(len(data), np.nan), seconds=0.0, not_applicable=reason)


def _deadline(settings: Settings) -> float:
    return time.monotonic() + settings.time_limit


def _network(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
    found = _predicted(data, sequence, settings)
    if isinstance(found, str):
        return _declined(data, found)
    return Phasing(phi=found.phi, seconds=found.seconds, density=found.density)


def _chain(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
    """The phases of the network's best chain: its map, unless that is a single prediction."""
    found = _predicted(data, sequence, settings)
    if isinstance(found, str):
        return _declined(data, found)
    chain = np.where(found.chain != 0, np.degrees(np.angle(found.chain)), np.nan)
    return Phasing(phi=found.phi if found.arrived else chain, seconds=found.seconds)


def _random(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
    """Random phases: what every other figure has to be seen against."""
    started = time.perf_counter()
    phi = np.random.default_rng(settings.seed).uniform(-180.0, 180.0, len(data))
    return Phasing(phi=phi, seconds=time.perf_counter() - started)


def _polished(start: Method) -> Method:
    """Density modification of another method's phases: the same for the network's and for none."""

    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        import torch

        from crysformer.crystal.fourier.grids import grid_to_hkl
        from crysformer.peptide.sequence_file import sequences_of
        from crysformer.phasing.candidate import settle
        from crysformer.phasing.cell_content import cell_content, positive_fractions
        from crysformer.phasing.problem import phase_problem

        started = time.perf_counter()
        found = start(data, sequence, settings)
        if found.not_applicable:
            return found
        generator = torch.Generator().manual_seed(settings.seed)
        problem, content = phase_problem(data), cell_content(data, sequences_of(sequence))
        share = positive_fractions(content, data.cell.volume, data.d_min, 1, generator)
        phased = np.where(
            np.isfinite(found.phi), data.f * np.exp(1j * np.deg2rad(found.phi)), np.nan
        )
        F = problem.to_grid(phased / problem.scale)
        best = settle(problem, content, "polishing", F[None], share, 1, generator)[0]
        polished = grid_to_hkl(best.F, torch.from_numpy(data.hkl)).reshape(-1).numpy()
        return Phasing(
            phi=np.where(data.measured, np.rad2deg(np.angle(polished)), np.nan),
            seconds=time.perf_counter() - started,
        )

    return run


METHODS: dict[str, Method] = {
    "solve": _solver("auto"),
    "charge-flipping": _solver("charge-flipping"),
    "raar": _solver("raar"),
    "fragments": _solver("fragments"),
    "sequence": _solver("sequence"),
    "network": _network,
    "network-polished": _polished(_chain),
    "network-search": _solver("network"),
    "random": _random,
    "random-polished": _polished(_random),
}

COMPANIONS = {"network": ("network-polished", "random-polished")}
"""What is measured beside a method: polishing alone can hide how good a network is."""
