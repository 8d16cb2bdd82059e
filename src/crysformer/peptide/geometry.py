"""Peptides of any sequence in standard geometry, and their rotatable bonds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.chain import Chain, parse_chain
from crysformer.peptide.residue_shape import ResidueShape, backbone_axes, residue_shape
from crysformer.peptide.rotatable_bonds import Torsion, rotatable_bonds

#: Atomic numbers of the atoms of blocked or free ends.
_OF_ENDS: Final = {"C": 6, "N": 7, "O": 8}
#: Bonds of the ends.
_END_BONDS: Final = (
    ("C", "OXT"), ("C", "NH2.N"), ("N", "ACE.C"), ("ACE.C", "ACE.O"), ("ACE.C", "ACE.CH3"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Peptides:
    """One or several chains in standard geometry, extended, each at an arbitrary place.

    Attributes
    ----------
    sequences
        Each chain as `crysformer.peptide.chain.parse_chain` reads it.
    names, number, residue, chain
        Of each atom: name, atomic number, residue along all chains and chain, from 0. Atoms of
        blocked ends are named such as ``ACE.C`` and ``NH2.N``, and belong to the residue beside
        them.
    xyz
        Reference coordinates, shape (n, 3), A.
    bonds
        Pairs of bonded atoms.
    torsions
        Rotatable bonds.
    ring_bonds
        Bonds from C to N, not in `bonds`, that close the chains which are rings. Torsions move the
        two atoms apart.
    """

    sequences: tuple[str, ...]
    names: tuple[str, ...]
    number: NDArray[np.int64]
    residue: NDArray[np.int64]
    chain: NDArray[np.int64]
    xyz: NDArray[np.float64]
    bonds: tuple[tuple[int, int], ...]
    torsions: tuple[Torsion, ...]
    ring_bonds: tuple[tuple[int, int], ...] = ()

    @property
    def codes(self) -> str:
        """One-letter codes of all residues, chain after chain."""
        return "".join(chain.letters for chain in self.chains)

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Notation of the chains, parsed."""
        return tuple(parse_chain(sequence) for sequence in self.sequences)

    @cached_property
    def d_residues(self) -> frozenset[int]:
        """D residues along all chains, from 0."""
        return self._positions([chain.d_residues for chain in self.chains])

    @cached_property
    def achiral(self) -> frozenset[int]:
        """Residues without a hand along all chains, from 0."""
        return self._positions([chain.achiral for chain in self.chains])

    @cached_property
    def residue_names(self) -> tuple[str, ...]:
        """Three-letter names of all residues, chain after chain."""
        return tuple(name for chain in self.chains for name in chain.names)

    def _positions(self, of_chains: Sequence[frozenset[int]]) -> frozenset[int]:
        found, first = set[int](), 0
        for positions, chain in zip(of_chains, self.chains, strict=True):
            found |= {first + i for i in positions}
            first += len(chain.letters)
        return frozenset(found)


def build_peptides(sequences: Sequence[str]) -> Peptides:
    """Chains with their ends, extended: trans, phi = psi = 180 degrees, proline -65 (D +65).

    Backbone lengths and angles are Engh and Huber's; side chains are those of
    `crysformer.peptide.residue_shape`, put on the backbone's N, CA and C.

    Raises
    ------
    KeyError
        If a residue has no model (`crysformer.peptide.chain.Chain.unmodelled`).
    """
    xyz: list[NDArray[np.float64]] = []
    names: list[str] = []
    number: list[int] = []
    residue: list[int] = []
    chain: list[int] = []
    bonds: list[tuple[int, int]] = []
    ring_bonds: list[tuple[int, int]] = []
    first = 0
    for c, described in enumerate(parse_chain(sequence) for sequence in sequences):
        shapes = [residue_shape(name) for name in described.names]
        backbone = _extended_backbone(described, shapes)
        end, begin = None, len(names)
        for i, shape in enumerate(shapes):
            placed = _placed(described, i, shape, backbone[i], _phi(described, i, shape))
            atoms, start = list(placed), len(names)
            bonds += [(start + a, start + b) for a, b in _bonds(placed, shape)]
            if end is not None:
                bonds.append((end, start))
            end = start + atoms.index("C")
            xyz.append(np.array(list(placed.values())))
            names += atoms
            own = dict(zip(shape.atoms, shape.number, strict=True))
            number += [own[x] if x in own else _OF_ENDS[x.rpartition(".")[2][0]] for x in atoms]
            residue += [first + i] * len(atoms)
            chain += [c] * len(atoms)
        if described.cyclic and end is not None:
            ring_bonds.append((end, begin))
        first += len(described.letters)
    peptides = Peptides(
        tuple(sequences),
        tuple(names),
        np.array(number),
        np.array(residue),
        np.array(chain),
        np.concatenate(xyz),
        tuple(bonds),
        torsions=(),
        ring_bonds=tuple(ring_bonds),
    )
    return replace(
        peptides,
        torsions=rotatable_bonds(
            peptides.chains, peptides.names, peptides.residue, peptides.xyz, peptides.bonds
        ),
    )


def _placed(
    chain: Chain,
    i: int,
    shape: ResidueShape,
    backbone: tuple[NDArray[np.float64], ...],
    phi: float,
) -> dict[str, NDArray[np.float64]]:
    """Atoms of one residue with the ends of the chain that it carries; phi in degrees."""
    n, ca, c, oxygen, oxt = backbone
    template = shape.xyz @ backbone_axes(n, ca, c).T + ca
    placed = dict(zip(shape.atoms, template, strict=True))
    placed |= {"N": n, "CA": ca, "C": c, "O": oxygen}
    if i > 0 or chain.acetyl or chain.cyclic:
        for name in shape.on_nitrogen:
            placed[name] = place_atom((c, ca, n), ideal.N_METHYL, ideal.CA_N_METHYL, phi + 180.0)
    if i == len(chain.letters) - 1 and not chain.cyclic:
        if chain.amide:
            placed["NH2.N"] = place_atom((n, ca, c), ideal.C_N, ideal.CA_C_N, 180.0)
        else:
            placed["OXT"] = oxt
    if i == 0 and chain.acetyl:
        placed |= _acetyl(n, ca, c, phi)
    return placed


def _bonds(placed: dict[str, NDArray[np.float64]], shape: ResidueShape) -> list[tuple[int, int]]:
    """Bonds inside one residue, with its ends: of its definition, or from distances."""
    names = list(placed)
    if shape.bonds is not None:
        row = {name: k for k, name in enumerate(names)}
        found = [(row[a], row[b]) for a, b in (*shape.bonds, *_END_BONDS) if {a, b} <= row.keys()]
        return [(min(pair), max(pair)) for pair in found]
    xyz = np.array(list(placed.values()))
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    near = (distance > ideal.BONDED[0]) & (distance < ideal.BONDED[1])
    of_acetyl = np.array([name.startswith("ACE.") for name in names])
    if of_acetyl.any():
        # at the extended phi the acetyl group may lie on the side chain
        near &= of_acetyl[:, None] == of_acetyl
        near[names.index("N"), names.index("ACE.C")] = True
    return [(a, b) for a, b in np.argwhere(near).tolist() if a < b]


def place_atom(
    before: Sequence[NDArray[np.float64]], length: float, angle: float, torsion: float
) -> NDArray[np.float64]:
    """The atom d after a, b, c with distance c-d, angle b-c-d and torsion a-b-c-d (A, degrees)."""
    a, b, c = before
    theta, phi = math.radians(angle), math.radians(torsion)
    z = (c - b) / np.linalg.norm(c - b)
    y = np.cross(b - a, z)
    y /= np.linalg.norm(y)
    x = np.cross(y, z)
    step = -math.cos(theta) * z + math.sin(theta) * (math.cos(phi) * x + math.sin(phi) * y)
    return np.asarray(c + length * step)


def _acetyl(
    n: NDArray[np.float64], ca: NDArray[np.float64], c: NDArray[np.float64], phi: float
) -> dict[str, NDArray[np.float64]]:
    """An acetyl group trans to the first CA, whose phi is given in degrees."""
    carbon = place_atom((c, ca, n), ideal.C_N, ideal.C_N_CA, phi)
    return {
        "ACE.C": carbon,
        "ACE.O": place_atom((ca, n, carbon), ideal.C_O, ideal.ACETYL_N_C_O, 0.0),
        "ACE.CH3": place_atom((ca, n, carbon), ideal.ACETYL_C_CH3, ideal.CA_C_N, 180.0),
    }


def _phi(chain: Chain, i: int, shape: ResidueShape) -> float:
    """Torsion phi of a residue in an extended chain, degrees."""
    if not shape.ring:
        return 180.0
    return -ideal.PROLINE_PHI if i in chain.d_residues else ideal.PROLINE_PHI


def _extended_backbone(
    chain: Chain, shapes: Sequence[ResidueShape]
) -> list[tuple[NDArray[np.float64], ...]]:
    """N, CA, C, O and OXT of each residue."""
    sequence = chain.letters
    atoms = [
        np.zeros(3),
        np.array([ideal.N_CA, 0.0, 0.0]),
        np.array(
            [
                ideal.N_CA - ideal.CA_C * math.cos(math.radians(ideal.N_CA_C)),
                ideal.CA_C * math.sin(math.radians(ideal.N_CA_C)),
                0.0,
            ]
        ),
    ]
    for i in range(1, len(sequence)):
        phi = _phi(chain, i, shapes[i])
        atoms.append(place_atom(atoms[-3:], ideal.C_N, ideal.CA_C_N, 180.0))
        atoms.append(place_atom(atoms[-3:], ideal.N_CA, ideal.C_N_CA, 180.0))
        atoms.append(place_atom(atoms[-3:], ideal.CA_C, ideal.N_CA_C, phi))
    out: list[tuple[NDArray[np.float64], ...]] = []
    for i in range(len(sequence)):
        nitrogen, ca, carbon = atoms[3 * i : 3 * i + 3]
        oxygen = place_atom((nitrogen, ca, carbon), ideal.C_O, ideal.CA_C_O, 0.0)
        oxt = place_atom((nitrogen, ca, carbon), ideal.C_OXT, ideal.CA_C_OXT, 180.0)
        out.append((nitrogen, ca, carbon, oxygen, oxt))
    return out
