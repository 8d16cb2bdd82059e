"""An all-atom model traced in a map, from a known sequence."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import gemmi
import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.acceptance import probability
from crysformer.building.tracing.agreement import ModelAgreement
from crysformer.building.tracing.chain_ends import shown_atoms
from crysformer.building.tracing.fitting import (
    fit_coordinates,
    fit_to_map,
    start_coordinates,
)
from crysformer.building.tracing.growing import grow
from crysformer.building.tracing.peptide_units import find_peptide_units
from crysformer.building.tracing.search_map import MapCoefficients, SearchMap
from crysformer.building.tracing.settings import TracingSettings
from crysformer.building.tracing.threading import ThreadedChain, thread
from crysformer.building.tracing.traced_model import TracedModel
from crysformer.building.tracing.unit_graph import unit_graph
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.normalisation import least_b, wilson_b
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.errors import InputError
from crysformer.peptide.chain import MODIFIED, Chain, parse_chain
from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.model import PeptideModel

_USUAL_B, _MOST_B = 20.0, 80.0  # A^2
_MASK_RADIUS = 1.5  # A, about the atoms of chains that are placed


def trace(
    density: DensityMap,
    sequences: Sequence[str],
    d_min: float,
    deadline: float = math.inf,
    seed: int = 0,
    settings: TracingSettings | None = None,
    *,
    any_cis: bool = False,
    radiation: Radiation = "xray",
) -> TracedModel | None:
    """Trace chains of known sequence in a map.

    Peptide units are found by a six-dimensional search; chains grow from them in both directions;
    the sequence is threaded onto these by the density of side chains; and the best are fitted to
    the map in torsions and then in coordinates. Several chains are traced one after the other, each
    in the map that is left.

    Parameters
    ----------
    density
        The map over the whole cell, in the crystal's own space group, on any scale.
    sequences
        All chains of the asymmetric unit, as `crysformer.peptide.chain.parse_chain` reads them.
    d_min
        Resolution of the map, A.
    deadline
        `time.monotonic` by which the model should be there.
    seed
        Seed of the random orientations.
    settings
        Extent of the search.
    any_cis
        Peptide bonds may be cis before any residue, not only before proline.
    radiation
        Which scattering factors apply.

    Returns
    -------
    The model, or None where no chain was traced: sequences of one residue, of residues without a
    model, or longer than `settings.longest` allows; or no time.

    Raises
    ------
    InputError
        If there is no sequence, or it cannot be read.
    """
    settings = settings or TracingSettings()
    began = time.monotonic()
    chains = [parse_chain(sequence) for sequence in sequences]
    if not chains:
        raise InputError("no sequence to trace; expected at least one chain")
    lengths = [len(chain.letters) for chain in chains]
    if min(lengths) < 2 or max(lengths) > settings.longest + 1:
        return None
    if any(MODIFIED in chain.letters for chain in chains):
        return None
    found = _trace_one(
        density, tuple(sequences), d_min, deadline, seed, settings, radiation, any_cis=any_cis
    )
    return None if found is None else replace(found, seconds=time.monotonic() - began)


def _trace_one(
    density: DensityMap,
    sequences: tuple[str, ...],
    d_min: float,
    deadline: float,
    seed: int,
    settings: TracingSettings,
    radiation: Radiation,
    *,
    any_cis: bool,
) -> TracedModel | None:
    coefficients = MapCoefficients(density, d_min)
    if not bool((coefficients.F.abs() > 0).any()):
        raise InputError("the map is constant; expected density that varies over the cell")
    spacing = max(settings.spacing, (density.cell.volume / settings.most_points) ** (1 / 3))
    whole = SearchMap(coefficients.map_on(spacing), coefficients.cell, coefficients.space_group)
    b_iso = _mean_b(coefficients, radiation)
    generator = torch.Generator().manual_seed(seed)
    remaining = sorted(range(len(sequences)), key=lambda i: -len(parse_chain(sequences[i]).letters))
    placed: dict[int, Tensor] = {}
    left_over = whole
    while remaining:
        if placed:
            atoms = torch.cat(list(placed.values()))
            left_over = whole.without(atoms, _MASK_RADIUS)
        share = (deadline - time.monotonic()) / len(remaining)
        until = time.monotonic() + share
        found = _next_chain(
            coefficients, left_over, [sequences[i] for i in remaining], generator, until,
            settings, b_iso, radiation, first=not placed, any_cis=any_cis,
        )  # fmt: skip
        if found is None:
            break
        sequence, xyz = found
        i = next(i for i in remaining if sequences[i] == sequence)
        remaining.remove(i)
        placed[i] = xyz
    if not placed:
        return None
    order = sorted(placed)
    peptides = build_peptides([sequences[i] for i in order])
    xyz = _compact([placed[i] for i in order], whole)
    kinematics = Kinematics(peptides)
    if len(order) > 1:
        steps = settings.fit.steps
        xyz = fit_coordinates(kinematics, whole, xyz[None], steps, settings.fit, deadline)[0]
    agreement = ModelAgreement(coefficients, whole, peptides, b_iso, radiation).full(xyz)
    score = 0.0  # a model that lacks a chain is not right
    if len(order) == len(sequences):
        least = float(agreement.residue_correlations.min())
        score = probability(agreement.amplitude_correlation, least, len(xyz))
    coordinates, shown = xyz.double().numpy(), shown_atoms(whole, peptides, xyz[None])[0]
    return TracedModel(
        structure=_structure(peptides, coordinates, b_iso, density, shown.numpy()),
        peptides=peptides,
        xyz=coordinates,
        b_iso=b_iso,
        score=score,
        accepted=score >= settings.accepted,
        map_correlation=agreement.map_correlation,
        amplitude_correlation=agreement.amplitude_correlation,
        residue_correlations=agreement.residue_correlations,
    )


def _next_chain(
    coefficients: MapCoefficients,
    left_over: SearchMap,
    sequences: list[str],
    generator: torch.Generator,
    deadline: float,
    settings: TracingSettings,
    b_iso: float,
    radiation: Radiation,
    *,
    first: bool,
    any_cis: bool,
) -> tuple[str, Tensor] | None:
    """The chain that fits best what is left of the map, and its coordinates (n, 3), A."""
    # residues whose bond to the one before is trans
    held = [[c for c in parse_chain(s).letters[1:] if c != "P" and not any_cis] for s in sequences]
    seeds, _ = find_peptide_units(
        coefficients if first else coefficients.of_map(left_over),
        left_over, generator, deadline, cis=not all(held), settings=settings.seeds,
    )  # fmt: skip
    if not len(seeds):
        return None
    longest = max(len(parse_chain(s).letters) for s in sequences)
    cis = any_cis or any("P" in parse_chain(s).letters[1:] for s in sequences)
    forward, backward = (
        grow(left_over, seeds, longest - 1, way, deadline, cis=cis, settings=settings.growth)
        for way in (True, False)
    )
    graph = unit_graph(left_over, forward, backward)
    best: tuple[float, str, Tensor] | None = None
    for sequence in dict.fromkeys(sequences):
        chain = parse_chain(sequence)
        threaded = thread(left_over, graph, chain, any_cis=any_cis, settings=settings.threading)
        if not threaded:
            continue
        found = _fitted(
            coefficients, left_over, sequence, chain, threaded, deadline, settings, b_iso, radiation
        )
        if best is None or found[0] > best[0]:
            best = (found[0], sequence, found[1])
    return None if best is None else best[1:]


def _fitted(
    coefficients: MapCoefficients,
    left_over: SearchMap,
    sequence: str,
    chain: Chain,
    threaded: list[ThreadedChain],
    deadline: float,
    settings: TracingSettings,
    b_iso: float,
    radiation: Radiation,
) -> tuple[float, Tensor]:
    """The best of some threaded chains after the fit: its figure, and coordinates (n, 3), A."""
    peptides = build_peptides([sequence])
    kinematics = Kinematics(peptides)
    xyz = start_coordinates(kinematics, threaded, settings.fit)
    xyz = fit_to_map(kinematics, left_over, xyz, settings.fit, deadline)
    rating = ModelAgreement(coefficients, left_over, peptides, b_iso, radiation)
    figures = [sum(rating.correlations(one)) for one in xyz]
    best = int(np.argmax(figures))
    return figures[best], xyz[best]


def _mean_b(coefficients: MapCoefficients, radiation: Radiation) -> float:
    """Mean B from the Wilson plot of the map's amplitudes, A^2."""
    data = CrystalData(
        cell=coefficients.cell,
        space_group=gemmi.SpaceGroup("P 1"),
        hkl=coefficients.hkl.numpy().astype(np.int32),
        f=coefficients.F.abs().double().numpy(),
        radiation=radiation,
    )
    try:
        b_iso = wilson_b(data).b_iso
    except InputError:
        return _USUAL_B
    return min(max(b_iso, least_b(data.d_min)), _MOST_B)


def _compact(chains: list[Tensor], search_map: SearchMap) -> Tensor:
    """The first chain in the cell, and of each other the mate that is nearest to those before."""
    rotations, translations = search_map.mates
    placed: list[Tensor] = []
    for xyz in chains:
        frac = xyz @ search_map.to_frac.mT
        if not placed:
            frac = frac - frac.mean(0).floor()
        else:
            middle = (torch.cat(placed).mean(0)) @ search_map.to_frac.mT
            mates = torch.einsum("mij,aj->mai", rotations, frac) + translations[:, None]
            mates = mates - (mates.mean(1, keepdim=True) - middle).round()
            away = (mates.mean(1) - middle) @ search_map.orth.mT
            frac = mates[int((away**2).sum(1).argmin())]
        placed.append(frac @ search_map.orth.mT)
    return torch.cat(placed)


def _structure(
    peptides: Peptides, xyz: np.ndarray, b_iso: float, density: DensityMap, shown: np.ndarray
) -> gemmi.Structure:
    """The model without second oxygens that the map does not show."""
    model = PeptideModel(
        peptides=peptides,
        xyz=xyz,
        b_iso=np.full(len(xyz), b_iso),
        cell=density.cell,
        space_group=density.space_group,
        F=np.zeros(0, dtype=np.complex128),
    )
    structure = model.to_structure()
    for row in np.flatnonzero(~shown).tolist():  # second oxygens of last residues
        last = structure[0][int(peptides.chain[row])][-1]
        last.remove_atom(peptides.names[row], "\0", gemmi.Element("O"))
    return structure
