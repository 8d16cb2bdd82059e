"""Peptides of any sequence in standard geometry, and their rotatable bonds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.chain import Chain, parse_chain
from crysformer.peptide.conformers import template_coordinates
from crysformer.peptide.residues import NAME_OF, atoms_of

#: Rotatable bonds of side chains, by residue: chi 1, chi 2, ...
CHI = {
    "ARG": "CA-CB CB-CG CG-CD CD-NE",
    "ASN": "CA-CB CB-CG",
    "ASP": "CA-CB CB-CG",
    "CYS": "CA-CB",
    "GLN": "CA-CB CB-CG CG-CD",
    "GLU": "CA-CB CB-CG CG-CD",
    "HIS": "CA-CB CB-CG",
    "ILE": "CA-CB CB-CG1",
    "LEU": "CA-CB CB-CG",
    "LYS": "CA-CB CB-CG CG-CD CD-CE",
    "MET": "CA-CB CB-CG CG-SD",
    "PHE": "CA-CB CB-CG",
    "SER": "CA-CB",
    "THR": "CA-CB",
    "TRP": "CA-CB CB-CG",
    "TYR": "CA-CB CB-CG",
    "VAL": "CA-CB",
}


@dataclass(frozen=True)
class Torsion:
    """A rotatable bond.

    Attributes
    ----------
    kind
        ``phi``, ``psi``, ``omega`` or ``chi1`` to ``chi4``.
    residue
        Number of its residue along all chains, from 0; omega belongs to the residue before the
        bond.
    atoms
        The four atoms of the angle; the bond is between the middle two.
    reference
        Its value in `Peptides.xyz`, radians.
    """

    kind: str
    residue: int
    atoms: tuple[int, int, int, int]
    reference: float


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
    """

    sequences: tuple[str, ...]
    names: tuple[str, ...]
    number: NDArray[np.int64]
    residue: NDArray[np.int64]
    chain: NDArray[np.int64]
    xyz: NDArray[np.float64]
    bonds: tuple[tuple[int, int], ...]
    torsions: tuple[Torsion, ...]

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
        found, first = set(), 0
        for chain in self.chains:
            found |= {first + i for i in chain.d_residues}
            first += len(chain.letters)
        return frozenset(found)


def build_peptides(sequences: Sequence[str]) -> Peptides:
    """Chains with their ends, extended: trans, phi = psi = 180 degrees, proline -65 (D +65).

    Backbone lengths and angles are Engh and Huber's; side chains are those of the most common
    conformers of the data set (`crysformer.peptide.conformers`), put on the backbone's N, CA
    and C; of D residues their mirror images.
    """
    xyz: list[NDArray[np.float64]] = []
    names: list[str] = []
    residue: list[int] = []
    chain: list[int] = []
    bonds: list[tuple[int, int]] = []
    first = 0
    for c, described in enumerate(parse_chain(sequence) for sequence in sequences):
        backbone = _extended_backbone(described)
        end: int | None = None
        for i, letter in enumerate(described.letters):
            n, ca, carbon, oxygen, oxt = backbone[i]
            name = NAME_OF[letter]
            atoms = list(atoms_of(letter))
            hand = (1, 1, -1) if i in described.d_residues else (1, 1, 1)
            template = hand * template_coordinates()[name] @ backbone_axes(n, ca, carbon).T + ca
            placed = dict(zip(atoms, template, strict=True))
            placed |= {"N": n, "CA": ca, "C": carbon, "O": oxygen}
            if i == len(described.letters) - 1:
                name = "NH2.N" if described.amide else "OXT"
                atoms.append(name)
                placed[name] = place_atom((n, ca, carbon), ideal.C_N, ideal.CA_C_N, 180.0)
                if not described.amide:
                    placed[name] = oxt
            if i == 0 and described.acetyl:
                acetyl = _acetyl(n, ca, carbon, _extended_phi(described, 0))
                atoms += acetyl
                placed |= acetyl
            start = len(names)
            coordinates = np.array([placed[a] for a in atoms])
            bonds += [(start + a, start + b) for a, b in _bonds(atoms, coordinates)]
            if end is not None:
                bonds.append((end, start))
            end = start + atoms.index("C")
            xyz.append(coordinates)
            names += atoms
            residue += [first + i] * len(atoms)
            chain += [c] * len(atoms)
        first += len(described.letters)
    coordinates = np.concatenate(xyz)
    elements = [name.rpartition(".")[2][0] for name in names]
    number = np.array([{"C": 6, "N": 7, "O": 8, "S": 16}[element] for element in elements])
    peptides = Peptides(
        tuple(sequences),
        tuple(names),
        number,
        np.array(residue),
        np.array(chain),
        coordinates,
        tuple(bonds),
        torsions=(),
    )
    return replace(peptides, torsions=tuple(_torsions(peptides)))


def _bonds(names: Sequence[str], xyz: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Bonds inside one residue, with its ends, from the distances of its atoms (n, 3), A."""
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    near = (distance > ideal.BONDED[0]) & (distance < ideal.BONDED[1])
    of_acetyl = np.array([name.startswith("ACE.") for name in names])
    if of_acetyl.any():
        # at the extended phi the acetyl group may lie on the side chain
        near &= of_acetyl[:, None] == of_acetyl
        near[names.index("N"), names.index("ACE.C")] = True
    return [(a, b) for a, b in np.argwhere(near).tolist() if a < b]


def dihedral(xyz: NDArray[np.float64], atoms: Sequence[int]) -> float:
    """Torsion angle of four atoms in radians, -pi to pi (IUPAC sign)."""
    p = xyz[list(atoms)]
    b0, b1, b2 = p[1] - p[0], p[2] - p[1], p[3] - p[2]
    n0, n1 = np.cross(b0, b1), np.cross(b1, b2)
    return float(math.atan2(np.linalg.norm(b1) * (b0 @ n1), n0 @ n1))


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


def _extended_phi(chain: Chain, i: int) -> float:
    """Torsion phi of a residue in an extended chain, degrees."""
    if chain.letters[i] != "P":
        return 180.0
    return -ideal.PROLINE_PHI if i in chain.d_residues else ideal.PROLINE_PHI


def _extended_backbone(chain: Chain) -> list[tuple[NDArray[np.float64], ...]]:
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
        phi = _extended_phi(chain, i)
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


def backbone_axes(
    n: NDArray[np.float64], ca: NDArray[np.float64], c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Axes of a residue's backbone as columns: x from CA to C, N in the plane of x and y."""
    x = (c - ca) / np.linalg.norm(c - ca)
    y = (n - ca) - ((n - ca) @ x) * x
    y /= np.linalg.norm(y)
    return np.stack((x, y, np.cross(x, y)), axis=1)


def _torsions(p: Peptides) -> list[Torsion]:
    index = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    linked: dict[int, list[int]] = {i: [] for i in range(len(p.names))}
    for a, b in p.bonds:
        linked[a].append(b)
        linked[b].append(a)
    found = []

    def add(kind: str, residue: int, quad: tuple[int, int, int, int]) -> None:
        found.append(Torsion(kind, residue, quad, dihedral(p.xyz, quad)))

    first = 0
    for chain in p.chains:
        length = len(chain.letters)
        if chain.acetyl:
            before, nitrogen = index[first, "ACE.C"], index[first, "N"]
            add("omega", first, (index[first, "ACE.CH3"], before, nitrogen, index[first, "CA"]))
            if chain.letters[0] != "P":
                add("phi", first, (before, nitrogen, index[first, "CA"], index[first, "C"]))
        for i in range(first, first + length):
            n, ca, c = (index[i, name] for name in ("N", "CA", "C"))
            if i > first and p.codes[i] != "P":  # proline's ring holds its phi
                add("phi", i, (index[i - 1, "C"], n, ca, c))
            if i < first + length - 1:
                add("psi", i, (n, ca, c, index[i + 1, "N"]))
                add("omega", i, (ca, c, index[i + 1, "N"], index[i + 1, "CA"]))
            else:
                add("psi", i, (n, ca, c, index[i, "NH2.N" if chain.amide else "OXT"]))
            name = NAME_OF[p.codes[i]]
            for k, bond in enumerate(CHI.get(name, "").split(), start=1):
                b, d = (index[i, atom] for atom in bond.split("-"))
                # N before CA, else the earlier atom of the side chain; the first-listed one after
                a = n if k == 1 else min(x for x in linked[b] if x != d and p.names[x] != "C")
                e = min(x for x in linked[d] if x != b)
                add(f"chi{k}", i, (a, b, d, e))
        first += length
    return found
