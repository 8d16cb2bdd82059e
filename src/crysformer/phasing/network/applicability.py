"""Crystals that a network applies to: those of the kind it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crysformer.crystal.cell_composition import count_atoms
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.models.weights import packaged_weights
from crysformer.models.weights_description import network, read_info, required
from crysformer.peptide.chain import letters_of
from crysformer.phasing.network.frame import NetworkFrame
from crysformer.wording import counted

#: Angles may differ this much from 90 degrees, and edges from the trained range by this fraction.
_ANGLE_TOLERANCE = 0.5
_EDGE_MARGIN = 0.1
#: The best reflection of data cut at a limit lies before it, in small cells by so much.
_D_MIN_MARGIN = 0.06
#: Reflections inside the trained resolution that must be measured, for a network of exact data.
_MIN_COMPLETENESS = 0.3


def fitting_weights(data: CrystalData, chains: Sequence[str]) -> str:
    """The packaged weights that fit a crystal.

    Raises
    ------
    NotApplicable
        If none do; with the reason for each.
    """
    reasons = []
    for name, path in packaged_weights().items():
        try:
            check_applicable(data, chains, read_info(path))
        except NotApplicable as reason:
            reasons.append(f"{name}: {reason}")
        else:
            return name
    raise NotApplicable("; ".join(reasons) or "no weights ship with this installation")


def check_applicable(data: CrystalData, chains: Sequence[str], info: dict[str, Any]) -> None:
    """Compare a crystal with what weights were trained on.

    Raises
    ------
    NotApplicable
        With the first reason found.
    """
    n_residues = network(info, "weights").n_residues
    if data.space_group.number != 1:
        raise NotApplicable(
            f"the network knows P 1 crystals only, this is {data.space_group.xhm()}"
        )
    if data.radiation != "xray":
        raise NotApplicable("the network was trained on X-ray amplitudes, these are of electrons")
    if len(chains) != 1:
        raise NotApplicable(
            f"the network takes one chain, {counted(len(chains), 'was', 'were')} given"
        )
    if letters_of(chains[0]) != chains[0]:
        raise NotApplicable(
            "the network knows neither D residues nor blocked ends nor modified residues"
        )
    if len(chains[0]) != n_residues:
        raise NotApplicable(
            f"the network was trained on {counted(n_residues, 'residue')}, the sequence has "
            f"{len(chains[0])}"
        )
    cell = data.cell
    if max(abs(angle - 90) for angle in (cell.alpha, cell.beta, cell.gamma)) > _ANGLE_TOLERANCE:
        raise NotApplicable(
            f"the network knows right angles only, this cell has {cell.alpha:g} {cell.beta:g} "
            f"{cell.gamma:g}"
        )
    domain = required(info, "domain")
    edges = sorted((cell.a, cell.b, cell.c), reverse=True)
    for edge, low, high in zip(edges, domain["min_edges"], domain["max_edges"], strict=True):
        if not low * (1 - _EDGE_MARGIN) <= edge <= high * (1 + _EDGE_MARGIN):
            raise NotApplicable(
                f"cell edge {edge:.1f} A is outside the trained {low:.1f} to {high:.1f} A"
            )
    per_atom = cell.volume / count_atoms(chains)
    low, high = domain["volume_per_atom"]
    if not low * (1 - _EDGE_MARGIN) <= per_atom <= high * (1 + _EDGE_MARGIN):
        raise NotApplicable(
            f"{per_atom:.0f} A^3 for each atom of the sequence is outside the trained {low:.0f} to "
            f"{high:.0f}: several copies, or another molecule"
        )
    if not data.measured.any() or data.d_min > domain["max_d_min"] * (1 + _D_MIN_MARGIN):
        found = f"{data.d_min:.2f} A" if data.measured.any() else "nothing"
        raise NotApplicable(
            f"the data reach {found}, the network needs {domain['max_d_min']:.1f} A or better"
        )


def check_completeness(frame: NetworkFrame, info: dict[str, Any]) -> None:
    """Refuse a crystal of which too little was measured.

    Raises
    ------
    NotApplicable
        With what was found and what is needed.
    """
    least = required(info, "domain").get("min_completeness", _MIN_COMPLETENESS)
    if frame.completeness < least * (1 - _EDGE_MARGIN):
        raise NotApplicable(
            f"{100 * frame.completeness:.0f} % of the reflections to {frame.d_min:g} A are "
            f"measured, the network needs {100 * least:.0f} %"
        )
