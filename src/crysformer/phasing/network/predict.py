"""The network's prediction from measured amplitudes and a sequence."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.comparison.alignment import apply_alignment
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import (
    Shape,
    density_from_grid,
    grid_from_density,
    patterson_from_grid,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.models.crysformer import CrysFormer
from crysformer.models.device import pick_device
from crysformer.models.orientations import predict_averaged, rotate_map
from crysformer.models.recycling import impose_amplitudes, recycle_to_convergence
from crysformer.models.weights import load_weights
from crysformer.peptide import residues
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.network.applicability import (
    check_applicable,
    check_completeness,
    fitting_weights,
)
from crysformer.phasing.network.convergence import Convergence
from crysformer.phasing.network.frame import NetworkFrame
from crysformer.phasing.network.placement import place_map

#: Grid points per d_min of the map that is handed out.
_SAMPLE_RATE = 3.0
#: Probabilities of a chain from which it is the prediction, and from which no other is tried.
_LIKELY, _CERTAIN = 0.5, 0.95


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network makes of a crystal.

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
    arrived
        Whether a chain of predictions arrived at a structure whose amplitudes agree with the
        measured ones; otherwise the map is of a single prediction.
    agreement
        Of the amplitudes of the best chain with the measured ones; zero where there was none.
    chain
        Fourier transform of the last map of the best chain at the rows of the data, shape (n,),
        complex, origin and hand as it came: what density modification may start from. The map
        itself where there was no chain.
    right
        Probability that the best chain is right, up to origin and hand.
    hand
        Probability that the hand is right where a chain arrived, else 0.5.
    notes
        What had to be assumed, each one sentence for the user.
    """

    density: DensityMap
    f: NDArray[np.float64]
    phi: NDArray[np.float64]
    fom: NDArray[np.float64]
    preset: str
    weights: str
    seconds: float
    d_min: float
    chain: NDArray[np.complex128]
    arrived: bool = False
    agreement: float = 0.0
    right: float = 0.0
    hand: float = 0.5
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> Shape:
        """Of the map."""
        return self.density.shape


def predict(
    data: CrystalData,
    sequence: str | Sequence[str],
    weights: str | Path | None = None,
    device: torch.device | str = "auto",
    seed: int = 0,
    deadline: float = math.inf,
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
        Of the random phase errors that chains of predictions start with.
    deadline
        `time.monotonic` after which no further chains are begun.

    Raises
    ------
    NotApplicable
        If the crystal is not of the kind the network was trained on.
    """
    begin = time.perf_counter()
    chains = sequences_of(sequence)
    name = fitting_weights(data, chains) if weights is None else weights
    loaded = load_weights(name, pick_device(device))
    check_applicable(data, chains, loaded.info)
    config = loaded.model.config
    frame = NetworkFrame.of(data, chains[0], config)
    check_completeness(frame, loaded.info)
    generator = torch.Generator().manual_seed(seed)
    arrival = Convergence.of(loaded.info)
    raw = _predict(loaded.model, arrival, data, frame, chains[0], generator, deadline)
    density = raw.density
    coefficients = frame.coefficients(density, data.hkl)
    f = np.abs(coefficients)
    ratio = np.divide(f, data.f, out=np.zeros_like(f), where=data.measured & (data.f > 0))
    return Prediction(
        density=DensityMap(frame.density(density, _SAMPLE_RATE), data.cell, data.space_group),
        f=f,
        phi=np.degrees(np.angle(coefficients)),
        fom=_expected_cosine(ratio, loaded.info, raw),
        preset=str(loaded.info.get("preset", loaded.name)),
        weights=str(name),
        seconds=time.perf_counter() - begin,
        d_min=config.d_min,
        chain=frame.coefficients(raw.chain, data.hkl),
        arrived=raw.arrived,
        agreement=raw.agreement,
        right=raw.right,
        hand=raw.hand,
        notes=(*_notes(data, frame), raw.note),
    )


@dataclass(frozen=True, eq=False)
class _Raw:
    """The network's density in its frame, (U, V, W), e/A^3, and how it came about."""

    density: Tensor
    chain: Tensor
    note: str
    arrived: bool = False
    agreement: float = 0.0
    right: float = 0.0
    hand: float = 0.5


def _predict(
    model: CrysFormer,
    arrival: Convergence,
    data: CrystalData,
    frame: NetworkFrame,
    sequence: str,
    generator: torch.Generator,
    deadline: float,
) -> _Raw:
    device = model.templates.device
    F = frame.amplitudes.to(torch.complex64)[None]
    patterson = patterson_from_grid(F, frame.shape, frame.volume)[None].to(device)
    codes = torch.from_numpy(residues.encode(sequence).astype(np.int64))[None].to(device)
    lengths = torch.tensor([frame.lengths], device=device)
    measured = frame.measured[None].to(device) if model.config.conditions else None
    first = predict_averaged(model, patterson, codes, lengths, measured=measured)
    single = first[0, 0].cpu()
    if not model.config.recycling:
        return _Raw(single, single, "a single prediction")
    # what ends the search is the stricter of what was fitted and the threshold of exact data
    enough = max(a.enough(_CERTAIN, data, (sequence,)) for a in (arrival, Convergence()))
    found, agreement = recycle_to_convergence(
        model, first, patterson, codes, lengths, generator, deadline, measured, enough
    )
    arrived = arrival.probability(agreement, data, (sequence,))
    if arrived < _LIKELY:
        needed = arrival.enough(_LIKELY, data, (sequence,))
        need = f"{needed:.3f} is needed" if needed <= 1 else "with such data none would prove it"
        note = (
            f"a single prediction: chains of predictions did not arrive (amplitudes agree to "
            f"{agreement:.3f}, {need})"
        )
        return _Raw(single, found[0, 0].cpu(), note, agreement=agreement, right=arrived)
    placement = place_map(
        data, sequence, frame, frame.coefficients(found[0, 0], data.hkl), generator
    )
    grid = grid_from_density(found[0].cpu(), frame.volume)
    moved = apply_alignment(grid, placement.alignment)
    centred = density_from_grid(moved, frame.shape, frame.volume)[None].to(patterson)
    density = predict_averaged(
        model,
        patterson,
        codes,
        lengths,
        impose_amplitudes(centred, patterson, measured),
        measured,
    )
    # The best map of two possibilities is their mean, by their probabilities.
    mirrored = rotate_map(density, (0, 1, 2))
    hand = placement.hand
    return _Raw(
        (hand * density + (1 - hand) * mirrored)[0, 0].cpu(),
        found[0, 0].cpu(),
        f"a chain of predictions arrived with probability {arrived:.2f} (amplitudes agree to "
        f"{agreement:.3f}); its origin and hand are by the atoms in it, the hand with probability "
        f"{hand:.2f}",
        True,
        agreement,
        arrived,
        hand,
    )


def _notes(data: CrystalData, frame: NetworkFrame) -> tuple[str, ...]:
    if frame.completeness > 0.99:
        return ()
    return (
        f"{100 * (1 - frame.completeness):.0f} % of the reflections to {frame.d_min:g} A are not "
        f"measured (the data end at {data.d_min:.2f} A) and entered with their expected amplitude",
    )


def _expected_cosine(
    ratio: NDArray[np.float64], info: dict[str, Any], raw: _Raw
) -> NDArray[np.float64]:
    """Mean cosine of the phase error, on validation, at these predicted / measured amplitudes.

    Of a chain that is right, with the right hand; the phases of others are worth nothing.
    """
    calibration = info["calibration"]
    if raw.arrived:
        calibration = info.get("calibration_arrived", calibration)
    cosine = np.interp(ratio, calibration["ratio"], calibration["cosine"])
    sure = raw.right * raw.hand if raw.arrived else 1.0
    return np.where(ratio > 0, cosine * sure, 0.0)
