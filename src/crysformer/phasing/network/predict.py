"""Prediction of the network alone, from measured amplitudes and a sequence."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.comparison.alignment import apply_alignment
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import Shape, density_from_grid, grid_from_density
from crysformer.crystal.fourier.projections_svg import projections_svg
from crysformer.crystal.quality.outliers import Outliers, wilson_outliers, without_outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable, UsageError
from crysformer.inline_html import card
from crysformer.models.orientations import rotate_map
from crysformer.models.recycling import impose_amplitudes
from crysformer.models.weights_description import required
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.network.frame import NetworkFrame
from crysformer.phasing.network.placement import place_map
from crysformer.phasing.network.trajectory import NetworkRunner, Trajectory, single_passes

_SAMPLE_RATE = 3.0  # grid points to d_min of the map that is handed out


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Map that the network predicts for a crystal.

    Attributes
    ----------
    density
        The raw predicted map on the scale of the amplitudes (e/A^3 if they are absolute), F(000)
        absent, the molecule's centre of mass at the cell centre.
    f, phi
        Fourier transform of that map at the rows of the data, shape (n,), and degrees. Beyond the
        network's resolution the map holds nothing: zero.
    fom
        Expected cosine of the phase error, shape (n,): what reflections with this ratio of
        predicted to measured amplitude had on the validation split; zero where nothing was
        predicted or measured.
    preset
        Name of the network's preset or weights.
    weights
        Name or file of the weights.
    seconds
        Wall-clock time.
    d_min
        Resolution of the map, A.
    trajectory
        Fourier transform of the last map of the best recycling run at the rows of the data, shape
        (n,), complex, origin and hand as they came; of the single prediction without recycling.
    converged
        Whether that run ended at a structure whose amplitudes agree with the measured ones;
        otherwise the map is of a single prediction.
    agreement
        Correlation of the amplitudes of the best run with the measured ones; zero without
        recycling.
    probability_correct
        Probability that the best run is right, up to origin and hand.
    hand
        Probability that the hand is right if the run converged, else 0.5.
    notes
        Assumptions, a sentence each.
    """

    density: DensityMap
    f: NDArray[np.float64]
    phi: NDArray[np.float64]
    fom: NDArray[np.float64]
    preset: str
    weights: str
    seconds: float
    d_min: float
    trajectory: NDArray[np.complex128]
    converged: bool = False
    agreement: float = 0.0
    probability_correct: float = 0.0
    hand: float = 0.5
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> Shape:
        """Shape of the map."""
        return self.density.shape

    def __repr__(self) -> str:
        run = "a converged recycling run" if self.converged else "a single prediction"
        return f"<Prediction of {self.preset}: {run}, to {self.d_min:g} Å, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        known = self.fom > 0
        rows = {
            "network": f"{self.preset} ({self.weights})",
            "resolution": f"{self.d_min:g} Å",
            "mean expected cosine": f"{self.fom[known].mean():.2f}" if known.any() else "",
            "recycling": "converged" if self.converged else "did not converge, or not done",
            "hand": f"right with probability {self.hand:.2f}",
            "notes": "; ".join(self.notes),
        }
        return card("Predicted map", rows, projections_svg(self.density))


def predict(
    data: CrystalData,
    sequence: str | Sequence[str],
    weights: str | Path | None = None,
    device: torch.device | str = "auto",
    seed: int = 0,
    deadline: float = math.inf,
    passes: int | None = None,
) -> Prediction:
    """Predict the density of a P1 crystal of one peptide.

    The scale of the amplitudes does not matter. Reflections that are missing, also those beyond
    the data's resolution but within the network's, enter with their expected intensity. The
    prediction is the mean over the four rotations that map the cell onto itself.

    Parameters
    ----------
    data
        The crystal.
    sequence
        One chain, in one-letter codes (a sequence of chains must hold one).
    weights
        Packaged name or file; by default the packaged weights that fit.
    device
        "auto", "cpu", "cuda", "mps".
    seed
        Seed for the random phase errors that recycling runs start with.
    deadline
        `time.monotonic` after which no further runs are begun.
    passes
        1 for a single evaluation of the network, without recycling, atoms or averaging over the
        equivalent orientations; by default recycling runs, as described above.

    Returns
    -------
    Prediction
        The map, and amplitudes, phases and figures of merit at the rows of the data.

    Raises
    ------
    NotApplicable
        If the crystal is not of the kind the network was trained on.
    UsageError
        If `passes` is another number than 1.
    """
    if passes not in (None, 1):
        raise UsageError(f"`passes` is {passes}: expected 1, or none for recycling runs")
    begin = time.perf_counter()
    case = _Case.of(data, sequence, weights, device)
    generator = torch.Generator().manual_seed(seed)
    runner = case.runner
    trajectory = runner.single_pass() if passes == 1 else runner.run(generator, deadline)
    density, hand = trajectory.single, 0.5
    if trajectory.converged:
        density, hand = _placed(runner, trajectory, generator)
    return case.prediction(trajectory, density, hand, begin)


def predict_once(
    crystals: Sequence[tuple[CrystalData, str | Sequence[str]]],
    weights: str | Path | None = None,
    device: torch.device | str = "auto",
    batch_size: int = 32,
) -> list[Prediction | NotApplicable]:
    """Predict many crystals by a single evaluation of the network, in batches of one grid.

    The same as `predict` with one pass for each crystal, in a fraction of the time.

    Parameters
    ----------
    crystals
        Data and sequence of each.
    weights, device
        As for `predict`.
    batch_size
        Largest number of crystals in an evaluation.

    Returns
    -------
    list
        In the order of the crystals; the reason where the network does not apply to one. The
        seconds of a prediction are an equal part of its batch's.
    """
    found: list[Prediction | NotApplicable] = []
    groups: dict[tuple[str, tuple[int, ...]], list[tuple[int, _Case]]] = {}
    for data, sequence in crystals:
        try:
            case = _Case.of(data, sequence, weights, device)
        except NotApplicable as reason:
            found.append(reason)
            continue
        groups.setdefault(case.runner.batch_key, []).append((len(found), case))
        found.append(NotApplicable("not predicted yet"))
    for group in groups.values():
        for start in range(0, len(group), batch_size):
            batch = group[start : start + batch_size]
            begin = time.perf_counter()
            trajectories = single_passes([case.runner for _, case in batch])
            each = (time.perf_counter() - begin) / len(batch)
            for (place, case), trajectory in zip(batch, trajectories, strict=True):
                begin = time.perf_counter() - each - case.seconds
                found[place] = case.prediction(trajectory, trajectory.single, 0.5, begin)
    return found


@dataclass(frozen=True, eq=False)
class _Case:
    """A crystal in a network's frame, what was suspected in its data, and the time it took, s."""

    data: CrystalData
    clean: CrystalData
    suspected: Outliers
    runner: NetworkRunner
    seconds: float

    @classmethod
    def of(
        cls,
        data: CrystalData,
        sequence: str | Sequence[str],
        weights: str | Path | None,
        device: torch.device | str,
    ) -> _Case:
        begin = time.perf_counter()
        suspected = wilson_outliers(data)
        clean = without_outliers(data, suspected)
        runner = NetworkRunner(clean, sequences_of(sequence), weights, device)
        return cls(data, clean, suspected, runner, time.perf_counter() - begin)

    def prediction(
        self, trajectory: Trajectory, density: Tensor, hand: float, begin: float
    ) -> Prediction:
        """The network's map of this crystal as a prediction, begun at `begin`."""
        data, runner = self.data, self.runner
        coefficients = runner.coefficients(density)
        f = np.abs(coefficients)
        ratio = np.divide(f, data.f, out=np.zeros_like(f), where=data.measured & (data.f > 0))
        frame = runner.frame
        notes = _notes(self.clean, frame, self.suspected)
        return Prediction(
            density=DensityMap(frame.density(density, _SAMPLE_RATE), data.cell, data.space_group),
            f=f,
            phi=np.degrees(np.angle(coefficients)),
            fom=_expected_cosine(ratio, runner, trajectory, hand),
            preset=runner.preset,
            weights=runner.weights,
            seconds=time.perf_counter() - begin,
            d_min=runner.config.d_min,
            trajectory=runner.coefficients(trajectory.density),
            converged=trajectory.converged,
            agreement=trajectory.agreement,
            probability_correct=trajectory.probability_correct,
            hand=hand,
            notes=(*notes, _course(runner, trajectory, hand)),
        )


def _placed(
    runner: NetworkRunner, trajectory: Trajectory, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Prediction from a converged run moved to its origin and hand, and the hand's probability."""
    frame = runner.frame
    coefficients = runner.coefficients(trajectory.density)
    placement = place_map(runner.data, runner.sequence, frame, coefficients, generator)
    grid = grid_from_density(trajectory.density[None], frame.volume)
    moved = apply_alignment(grid, placement.alignment)
    centred = density_from_grid(moved, frame.shape, frame.volume)[None].to(runner.patterson)
    density = runner.predict(impose_amplitudes(centred, runner.patterson, runner.measured))
    # the best map of two possibilities is their mean, weighted with their probabilities
    mirrored = rotate_map(density, (0, 1, 2))
    hand = placement.hand
    return (hand * density + (1 - hand) * mirrored)[0, 0].cpu(), hand


def _course(runner: NetworkRunner, trajectory: Trajectory, hand: float) -> str:
    """One sentence on how the prediction came about."""
    if not trajectory.recycled:
        return "a single prediction"
    agreement = f"amplitudes agree to {trajectory.agreement:.3f}"
    if trajectory.converged:
        return (
            f"a recycling run converged with probability {trajectory.probability_correct:.2f} "
            f"({agreement}); its origin and hand are those of the atoms in it, the hand with "
            f"probability {hand:.2f}"
        )
    needed = trajectory.needed
    need = f"{needed:.3f} is needed" if needed <= 1 else "with such data none would prove it"
    return f"a single prediction: recycling runs did not converge ({agreement}, {need})"


def _notes(data: CrystalData, frame: NetworkFrame, suspected: Outliers) -> tuple[str, ...]:
    notes = []
    if len(suspected):
        notes.append(
            f"too strong for Wilson's distribution, and not given to the network: "
            f"{suspected.names()}"
        )
    if frame.completeness > 0.99:
        return tuple(notes)
    return (
        *notes,
        f"{100 * (1 - frame.completeness):.0f} % of the reflections to {frame.d_min:g} A are not "
        f"measured (the data end at {data.d_min:.2f} A) and entered with their expected amplitude",
    )


def _expected_cosine(
    ratio: NDArray[np.float64], runner: NetworkRunner, trajectory: Trajectory, hand: float
) -> NDArray[np.float64]:
    """Mean cosine of the phase error, on validation, at these predicted / measured amplitudes.

    For a converged run times the probability that it is right and has the right hand; the phases
    of others are worth nothing.
    """
    calibration, certainty = required(runner.info, "calibration"), 1.0
    if trajectory.converged:
        calibration = runner.info.get("calibration_arrived", calibration)
        certainty = trajectory.probability_correct * hand
    cosine = np.interp(ratio, calibration["ratio"], calibration["cosine"])
    return np.where(ratio > 0, cosine * certainty, 0.0)
