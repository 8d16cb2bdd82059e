"""Support of the given sequence: its model against models with other side chains."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.merit.r_factor import r_factor
from crysformer.phasing.refinement.restrained import (
    RefinedModels,
    RestrainedSettings,
    refine_restrained,
)
from crysformer.phasing.sequence_support.exchanges import (
    ExchangeSettings,
    Fit,
    SideChainExchange,
)
from crysformer.phasing.sequence_support.verdict import (
    ResidueSupport,
    SequenceSupport,
    SupportFigures,
    support,
)
from crysformer.settings import setting, table

ALIKE = ("VT", "NDL", "QEM", "SC")
"""Types whose atoms lie at the same places: rarely told apart by amplitudes alone."""
_PARAMETERS_PER_ATOM = 4.0  # position and B
_CLASH = 2.2  # A from an exchanged side chain: waters that stood for its atoms


@dataclass(frozen=True)
class SupportSettings:
    """Comparison of the given sequence with others."""

    exchanges: ExchangeSettings = table(ExchangeSettings, "Exchange of side chains.")
    least_gain: float = setting(
        3.0,
        "Log likelihood gained by another type from which it takes part in the other sequence.",
        min=0.0,
        max=1000.0,
    )
    refinement_steps: int = setting(
        80, "Steps of refinement of the model of either sequence.", min=1, max=10_000
    )
    seconds: float = setting(
        10.0, "Time after which no further residue is compared.", unit="s", min=0.1, max=1e6
    )


def sequence_support(
    data: CrystalData,
    model: PeptideModel,
    b_iso: float,
    deadline: float = math.inf,
    *,
    settings: SupportSettings | None = None,
) -> SequenceSupport:
    """Compare the sequence of a model with others against the amplitudes.

    Every side chain is exchanged for those of all other types (but proline), with the rest of the
    model fixed. What the likelier types make together is then refined like the given sequence, all
    atoms, and the two models are compared. Nothing is learnt about a residue whose backbone is in
    the wrong place; the phases of the model must be right.

    Parameters
    ----------
    data
        The crystal, in the setting of the model.
    model
        The refined model of the given sequence, with its waters.
    b_iso
        Mean B, A^2.
    deadline
        `time.monotonic` after which nothing further is begun, and there is no verdict.
    settings
        What is compared, and the probabilities of the verdict.
    """
    settings = settings or SupportSettings()
    exchange = SideChainExchange(data, model, settings.exchanges)
    residues: list[ResidueSupport] = []
    likelier: dict[int, Fit] = {}
    rows = (
        (c, i) for c, chain in enumerate(model.peptides.chains) for i in range(len(chain.letters))
    )
    for row, (c, i) in enumerate(rows):
        if time.monotonic() > deadline:
            return SequenceSupport(note="the time was up")
        fits = exchange.fits(row, deadline)
        if len(fits) < 2:
            continue
        given, others = fits[0], fits[1:]
        best, alike = _compared(given, others, settings.least_gain)
        gain = _gain(given, best)
        chain = chr(ord("A") + c % 26)
        residues.append(ResidueSupport(chain, i + 1, row, given.letter, best.letter, gain, alike))
        if gain > settings.least_gain:
            likelier[row] = max(others, key=lambda fit: _gain(given, fit))
    if not residues:
        return SequenceSupport(note="no residue can be exchanged")
    other, gain = "", 0.0
    if likelier:
        changed = exchanged(data, model, likelier)
        gain = _refined_gain(data, model, changed, b_iso, deadline, settings)
        other = ",".join(changed.peptides.sequences)
    if time.monotonic() > deadline:
        return SequenceSupport(note="the time was up")
    used = data.measured & np.isfinite(model.F)
    observed = data.f[used]
    figures = SupportFigures(
        gain=gain,
        least_margin=min(-residue.gain for residue in residues),
        r=float(r_factor(observed, np.abs(model.F[used]))),
    )
    return support(tuple(residues), figures, other)


def _compared(given: Fit, others: list[Fit], least_gain: float) -> tuple[Fit, str]:
    """The best type of another shape, and the types of the given one's shape that fit as well."""
    shape = {code for group in ALIKE if given.letter in group for code in group}
    same = [fit for fit in others if fit.letter in shape]
    alike = "".join(sorted(fit.letter for fit in same if _gain(given, fit) > -least_gain))
    different = [fit for fit in others if fit.letter not in shape] or others
    return max(different, key=lambda fit: _gain(given, fit)), alike


def _gain(given: Fit, other: Fit) -> float:
    """Log likelihood over that of the given type, corrected for the number of atoms."""
    more = len(other.names) - len(given.names)
    return other.log_likelihood - given.log_likelihood - _PARAMETERS_PER_ATOM * more


def exchanged(data: CrystalData, model: PeptideModel, fits: dict[int, Fit]) -> PeptideModel:
    """The model with other side chains, without the waters in their places.

    Its structure factors are those of the model that was given.
    """
    p, chains, first = model.peptides, [], 0
    for chain in p.chains:
        letters = list(chain.letters)
        for i in range(len(letters)):
            if first + i in fits:
                letters[i] = fits[first + i].letter
        achiral = {i for i in chain.d_residues if letters[i] == "G"}
        d_residues = chain.d_residues - achiral
        chains.append(str(replace(chain, letters="".join(letters), d_residues=d_residues)))
        first += len(letters)
    peptides = build_peptides(chains)
    old = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    xyz, b_iso = np.empty((len(peptides.names), 3)), np.empty(len(peptides.names))
    added: list[int] = []
    for i, (r, name) in enumerate(zip(peptides.residue.tolist(), peptides.names, strict=True)):
        fit = fits.get(r)
        if fit is not None and name in fit.names:
            at = fit.names.index(name)
            xyz[i], b_iso[i] = fit.xyz[at], fit.b_iso[at]
            added.append(i)
        else:
            xyz[i], b_iso[i] = model.xyz[old[r, name]], model.b_iso[old[r, name]]
    kept = ~_clashing(data, model.waters, xyz[added])
    waters, waters_b = model.waters[kept], model.waters_b[kept]
    return replace(model, peptides=peptides, xyz=xyz, b_iso=b_iso, waters=waters, waters_b=waters_b)


def _clashing(
    data: CrystalData, waters: NDArray[np.float64], xyz: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Flags of the waters that are, or have a mate, too close to some atoms."""
    clash = np.zeros(len(waters), dtype=bool)
    frac = xyz @ data.to_frac.T
    for rotation, shift in operators(data.space_group, centred=True):
        step = frac[None] - (waters @ data.to_frac.T @ rotation.T + shift)[:, None]
        distance = np.linalg.norm(minimum_image(step) @ data.orth.T, axis=2)
        clash |= (distance < _CLASH).any(1)
    return clash


def _refined_gain(
    data: CrystalData,
    model: PeptideModel,
    changed: PeptideModel,
    b_iso: float,
    deadline: float,
    settings: SupportSettings,
) -> float:
    """Log likelihood of the changed model over the given one, refined, corrected for atoms."""
    refined = [
        _refined(data, one, b_iso, deadline, settings.refinement_steps) for one in (changed, model)
    ]
    atoms = [len(one.xyz) + len(one.waters) for one in (changed, model)]
    gain = float(refined[0].log_likelihood[0] - refined[1].log_likelihood[0])
    return max(0.0, gain - _PARAMETERS_PER_ATOM * (atoms[0] - atoms[1]))


def _refined(
    data: CrystalData, model: PeptideModel, b_iso: float, deadline: float, steps: int
) -> RefinedModels:
    xyz = np.concatenate((model.xyz, model.waters))
    return refine_restrained(
        data,
        Kinematics(model.peptides),
        torch.as_tensor(xyz).float()[None],
        b_iso,
        deadline,
        settings=RestrainedSettings(steps=steps),
    )
