"""The methods that can be measured, under one interface: a crystal in, phases out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.method import AUTO
from crysformer.phasing.method import METHODS as SOLVER_METHODS

if TYPE_CHECKING:
    from crysformer.phasing.network.predict import Prediction


@dataclass(frozen=True)
class Settings:
    """Settings common to all methods.

    Attributes
    ----------
    time_limit
        Seconds for one crystal.
    seed
        Seed for the random starts.
    device
        Compute device.
    weights
        For the network methods: packaged name or file; by default the packaged weights that fit.
    """

    time_limit: float = 120.0
    seed: int = 0
    device: str = "auto"
    weights: str | None = None


@dataclass(frozen=True, eq=False)
class Phasing:
    """Phases that a method found.

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
BatchMethod = Callable[[Sequence[tuple[CrystalData, str]], Settings], list[Phasing]]


def _solver(name: str) -> Method:
    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        from crysformer.errors import InputError, NotApplicable
        from crysformer.phasing.network.method import NetworkSettings
        from crysformer.phasing.settings import SolveSettings
        from crysformer.phasing.solver import solve

        try:
            solution = solve(
                data,
                sequence=sequence,
                method=name,
                time_limit=settings.time_limit,
                seed=settings.seed,
                device=settings.device,
                settings=SolveSettings(network=NetworkSettings(weights=settings.weights or "")),
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


def _one_pass(crystals: Sequence[tuple[CrystalData, str]], settings: Settings) -> list[Phasing]:
    """One evaluation of the network for each crystal: no recycling, no atoms, no alignment."""
    from crysformer.errors import NotApplicable
    from crysformer.phasing.network.predict import predict_once

    return [
        _declined(data, str(found))
        if isinstance(found, NotApplicable)
        else Phasing(phi=found.phi, seconds=found.seconds, density=found.density)
        for (data, _), found in zip(
            crystals, predict_once(crystals, settings.weights, settings.device), strict=True
        )
    ]


def _one_by_one(method: BatchMethod) -> Method:
    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        return method([(data, sequence)], settings)[0]

    return run


def _trajectory(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
    """Phases of the end of the network's best recycling run, placed if it converged."""
    found = _predicted(data, sequence, settings)
    if isinstance(found, str):
        return _declined(data, found)
    end = np.where(found.trajectory != 0, np.degrees(np.angle(found.trajectory)), np.nan)
    return Phasing(phi=found.phi if found.converged else end, seconds=found.seconds)


def _random(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
    """Random phases: what every other figure has to be seen against."""
    started = time.perf_counter()
    phi = np.random.default_rng(settings.seed).uniform(-180.0, 180.0, len(data))
    return Phasing(phi=phi, seconds=time.perf_counter() - started)


def _polished(start: Method) -> Method:
    """Density modification of another method's phases: the same for the network's and for none."""

    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        import torch

        from crysformer.peptide.sequence_file import sequences_of
        from crysformer.phasing.dual_space.polishing import polish_by_density_modification
        from crysformer.phasing.dual_space.starting_parameters import positive_fractions
        from crysformer.phasing.problem import phasing_problem

        started = time.perf_counter()
        found = start(data, sequence, settings)
        if found.not_applicable:
            return found
        generator = torch.Generator().manual_seed(settings.seed)
        problem = phasing_problem(data, sequences_of(sequence))
        fraction = positive_fractions(problem, 1, generator)
        F = problem.expand(np.asarray(data.f * np.exp(1j * np.deg2rad(found.phi))))
        best = polish_by_density_modification(
            problem, "polishing", F[None], fraction, 1, generator
        )[0]
        phi = np.rad2deg(np.angle(problem.average(best.F)))
        return Phasing(
            phi=np.where(data.measured, phi, np.nan), seconds=time.perf_counter() - started
        )

    return run


METHODS: dict[str, Method] = {
    "solve": _solver(AUTO),
    **{name: _solver(name) for name in SOLVER_METHODS if name != "network"},
    "network": _network,
    "network-one-pass": _one_by_one(_one_pass),
    "network-polished": _polished(_trajectory),
    "network-search": _solver("network"),
    "random": _random,
    "random-polished": _polished(_random),
}
"""Methods by name: the solver, each of its methods alone, and the network's own predictions."""

BATCHED: dict[str, BatchMethod] = {"network-one-pass": _one_pass}
"""Those of the methods that take many crystals at once, in less time."""

COMPANIONS = {"network": ("network-polished", "random-polished")}
"""Methods measured beside another: polishing alone can hide how good a network is."""
