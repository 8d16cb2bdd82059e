"""Rotatable bonds of chains: backbone and side-chain torsions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.chain import Chain
from crysformer.peptide.residue_shape import residue_shape


@dataclass(frozen=True)
class Torsion:
    """A rotatable bond.

    Attributes
    ----------
    kind
        ``phi``, ``psi``, ``omega`` or ``chi1``, ``chi2``, ...
    residue
        Number of its residue along all chains, from 0; omega belongs to the residue before the
        bond.
    atoms
        The four atoms of the angle; the bond is between the middle two.
    reference
        Its value in `Peptides.xyz`, radians.
    opposite
        Whether the angle ends or begins at the atom opposite to the one that names it, and so
        differs from it by 180 degrees: psi to O where N of the next residue is that of the ring's
        first one, phi from the methyl on N where there is no residue before.
    """

    kind: str
    residue: int
    atoms: tuple[int, int, int, int]
    reference: float
    opposite: bool = False


def dihedral(xyz: NDArray[np.float64], atoms: Sequence[int]) -> float:
    """Torsion angle of four atoms in radians, -pi to pi (IUPAC sign)."""
    p = xyz[list(atoms)]
    b0, b1, b2 = p[1] - p[0], p[2] - p[1], p[3] - p[2]
    n0, n1 = np.cross(b0, b1), np.cross(b1, b2)
    return float(math.atan2(np.linalg.norm(b1) * (b0 @ n1), n0 @ n1))


def rotatable_bonds(
    chains: Sequence[Chain],
    names: Sequence[str],
    residue: NDArray[np.int64],
    xyz: NDArray[np.float64],
    bonds: Sequence[tuple[int, int]],
) -> tuple[Torsion, ...]:
    """Rotatable bonds of chains, residue after residue.

    Parameters
    ----------
    chains
        Notation of the chains.
    names, residue, xyz, bonds
        As `crysformer.peptide.geometry.Peptides` has them.
    """
    index = {(int(r), name): i for i, (r, name) in enumerate(zip(residue, names, strict=True))}
    linked: dict[int, list[int]] = {i: [] for i in range(len(names))}
    for a, b in bonds:
        linked[a].append(b)
        linked[b].append(a)
    found = []

    def add(kind: str, at: int, quad: tuple[int, int, int, int], flip: bool = False) -> None:
        found.append(Torsion(kind, at, quad, dihedral(xyz, quad), flip))

    first = 0
    for chain in chains:
        length = len(chain.letters)
        shapes = [residue_shape(name) for name in chain.names]
        if chain.acetyl:
            before, nitrogen = index[first, "ACE.C"], index[first, "N"]
            add("omega", first, (index[first, "ACE.CH3"], before, nitrogen, index[first, "CA"]))
            if not shapes[0].ring:
                add("phi", first, (before, nitrogen, index[first, "CA"], index[first, "C"]))
        for i, shape in enumerate(shapes, start=first):
            n, ca, c = (index[i, name] for name in ("N", "CA", "C"))
            if i > first and not shape.ring:  # a ring such as proline's holds its phi
                add("phi", i, (index[i - 1, "C"], n, ca, c))
            elif i == first and not chain.acetyl and shape.on_nitrogen:
                add("phi", i, (index[i, shape.on_nitrogen[0]], n, ca, c), True)
            if i < first + length - 1:
                add("psi", i, (n, ca, c, index[i + 1, "N"]))
                add("omega", i, (ca, c, index[i + 1, "N"], index[i + 1, "CA"]))
            elif chain.cyclic:
                add("psi", i, (n, ca, c, index[i, "O"]), True)
            else:
                add("psi", i, (n, ca, c, index[i, "NH2.N" if chain.amide else "OXT"]))
            for k, bond in enumerate(shape.chi, start=1):
                b, d = (index[i, atom] for atom in bond)
                # N before CA, else the earlier atom of the side chain; the first-listed one after
                a = n if k == 1 else min(x for x in linked[b] if x != d and names[x] != "C")
                e = min(x for x in linked[d] if x != b)
                add(f"chi{k}", i, (a, b, d, e))
        first += length
    return tuple(found)
