"""First and last residues of chains, whose ends no further peptide unit holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.growing import frame_of
from crysformer.building.tracing.peptide_units import CA, NEXT_CA, WEIGHTS, C, N, O
from crysformer.building.tracing.rotamer_library import Rotamers, best_rotamers
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.geometry import Peptides

_TURN = 15.0  # degrees, between the torsions tried
_CHOICES = 12  # backbones of an end that get side chains
_SHOWN = 0.5  # density of the second oxygen of a last residue to that of the first, at least


@dataclass(frozen=True, eq=False)
class Ends:
    """The best residue at one end of each of some peptide units.

    Attributes
    ----------
    score
        Weighted density and log probability, shape (V,).
    backbone
        N, CA, C, O, shape (V, 4, 3), A.
    rotamer
        Number of the side chain in the library, shape (V,).
    """

    score: Tensor
    backbone: Tensor
    rotamer: Tensor


def first_residues(
    search_map: SearchMap, unit: Tensor, library: Rotamers, rotamer_weight: float
) -> Ends:
    """Residues before peptide units (V, 5, 3), with N at any psi."""
    following, c, ca, o = (unit[:, row] for row in (N, C, CA, O))
    n = turned(following, c, ca, ideal.N_CA, ideal.N_CA_C)
    ca, c, o = (x[:, None].expand_as(n) for x in (ca, c, o))
    return _best(search_map, torch.stack((n, ca, c, o), dim=2), library, rotamer_weight)


def last_residues(
    search_map: SearchMap, unit: Tensor, library: Rotamers, rotamer_weight: float
) -> Ends:
    """Residues after peptide units (V, 5, 3), with C at any phi and O at any psi."""
    before, n, ca = (unit[:, row] for row in (C, N, NEXT_CA))
    c = turned(before, n, ca, ideal.CA_C, ideal.N_CA_C)
    n, ca = (x[:, None].expand_as(c) for x in (n, ca))
    at_n, at_ca, at_c = (x.flatten(0, 1) for x in (n, ca, c))
    o = turned(at_n, at_ca, at_c, ideal.C_O, ideal.CA_C_O)
    o = o.unflatten(0, c.shape[:2])  # (V, phi, psi, 3)
    best = search_map.at(o).argmax(2)
    o = o.gather(2, best[:, :, None, None].expand(-1, -1, 1, 3))[:, :, 0]
    return _best(search_map, torch.stack((n, ca, c, o), dim=2), library, rotamer_weight)


def turned(a: Tensor, b: Tensor, c: Tensor, length: float, angle: float) -> Tensor:
    """Atoms d at all torsions a-b-c-d, shape (V, m, 3).

    Parameters
    ----------
    a, b, c
        Known atoms, shape (V, 3), A.
    length, angle
        Distance c-d, A, and angle b-c-d, degrees.
    """
    torsion = torch.arange(0, 2 * math.pi - 1e-6, math.radians(_TURN))
    theta = math.radians(angle)
    along = torch.full_like(torsion, -math.cos(theta))
    # x of the frame along b to c, y in their plane towards a: torsion zero
    local = length * torch.stack(
        (along, math.sin(theta) * torsion.cos(), math.sin(theta) * torsion.sin()), dim=1
    )
    return local @ frame_of(a, b, c).mT + c[:, None]


def shown_atoms(search_map: SearchMap, peptides: Peptides, xyz: Tensor) -> Tensor:
    """Atoms that a map shows or that must be there, flags (B, n) of models (B, n, 3).

    These are all but the second oxygen of a last residue, where the map has far less density at it
    than at the first: a chain that was cut out of a longer one lacks it.
    """
    shown = torch.ones(xyz.shape[:2], dtype=torch.bool)
    names = np.array(peptides.names)
    for oxt in np.flatnonzero(names == "OXT").tolist():
        own = peptides.residue == peptides.residue[oxt]
        o = int(np.flatnonzero(own & (names == "O"))[0])
        first, second = search_map.at(xyz[:, [o, oxt]]).unbind(1)
        shown[:, oxt] = second > _SHOWN * first
    return shown


def _best(
    search_map: SearchMap, residues: Tensor, library: Rotamers, rotamer_weight: float
) -> Ends:
    """The best of several backbones (V, m, 4, 3) for each unit, with its side chain."""
    score = search_map.at(residues) @ WEIGHTS[[N, CA, C, O]]
    best = score.topk(min(_CHOICES, score.shape[1]), dim=1)
    rows = torch.arange(len(residues))[:, None]
    chosen = residues[rows, best.indices]
    side, rotamer = best_rotamers(search_map, chosen.flatten(0, 1), library, rotamer_weight)
    total = best.values + side[:, 0].view_as(best.values)
    which = total.argmax(1, keepdim=True)
    return Ends(
        score=total.gather(1, which)[:, 0],
        backbone=chosen[rows, which][:, 0],
        rotamer=rotamer[:, 0].view_as(total).gather(1, which)[:, 0],
    )
