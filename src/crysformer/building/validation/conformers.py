"""Residues of a model with their neighbours along the chain, one conformer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

#: Longest distance of C and N of residues that are linked, A: beyond it the chain is broken.
LONGEST_PEPTIDE_BOND = 2.0
_BACKBONE = ("N", "CA", "C")


@dataclass(frozen=True, order=True)
class Site:
    """Place in a model, as a user would look for it.

    Attributes
    ----------
    chain, residue, name
        Chain, number with insertion code, and name of the residue.
    altloc
        Alternative conformer, or empty.
    """

    chain: str
    residue: str
    name: str
    altloc: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Chain, number and name, whatever the conformer."""
        return self.chain, self.residue, self.name

    def to_summary(self) -> dict[str, str]:
        """Plain values for `summary.json`."""
        place = {"chain": self.chain, "residue": self.residue, "name": self.name}
        return place | ({"altloc": self.altloc} if self.altloc else {})


@dataclass(frozen=True, eq=False)
class Conformer:
    """One conformer of a residue.

    Attributes
    ----------
    site
        Its place.
    xyz
        Coordinates of its atoms by name, A, hydrogens included.
    heavy
        Names of its atoms other than hydrogen.
    before, after
        Coordinates of the residues linked to N and C, the same conformer if there are several;
        empty without.
    after_name
        Name of the residue linked to C.
    """

    site: Site
    xyz: dict[str, NDArray[np.float64]]
    heavy: tuple[str, ...]
    before: dict[str, NDArray[np.float64]]
    after: dict[str, NDArray[np.float64]]
    after_name: str

    @property
    def has_backbone(self) -> bool:
        """Whether N, CA and C are all there."""
        return all(name in self.xyz for name in _BACKBONE)


def conformers(model: gemmi.Model) -> Iterator[Conformer]:
    """Go through all residues but waters, each once for every alternative conformer."""
    for chain in model:
        rows = [residue for residue in chain if not residue.is_water()]
        for i, residue in enumerate(rows):
            before = rows[i - 1] if i and linked(rows[i - 1], residue) else None
            after = rows[i + 1] if i + 1 < len(rows) and linked(residue, rows[i + 1]) else None
            for altloc in sorted({a.altloc for a in residue if a.altloc != "\0"}) or ["\0"]:
                heavy = {a.name for a in _chosen(residue, altloc) if not a.is_hydrogen()}
                yield Conformer(
                    site_of(chain.name, residue, altloc),
                    _positions(residue, altloc),
                    tuple(sorted(heavy)),
                    _positions(before, altloc),
                    _positions(after, altloc),
                    after.name if after is not None else "",
                )


def site_of(chain: str, residue: gemmi.Residue, altloc: str = "\0") -> Site:
    """Place of a residue."""
    return Site(chain, str(residue.seqid), residue.name, altloc.strip("\0 "))


def linked(first: gemmi.Residue, second: gemmi.Residue) -> bool:
    """Test for a peptide bond from the C of one residue to the N of another."""
    ends = [a.pos for a in first if a.name == "C"], [a.pos for a in second if a.name == "N"]
    return any(c.dist(n) < LONGEST_PEPTIDE_BOND for c in ends[0] for n in ends[1])


def _chosen(residue: gemmi.Residue, altloc: str) -> list[gemmi.Atom]:
    """Atoms of one conformer; the first one of each name that the conformer lacks."""
    found: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if atom.altloc in ("\0", altloc) or atom.name not in found:
            found[atom.name] = atom
    return list(found.values())


def _positions(residue: gemmi.Residue | None, altloc: str) -> dict[str, NDArray[np.float64]]:
    if residue is None:
        return {}
    return {a.name: np.array(a.pos.tolist()) for a in _chosen(residue, altloc)}


def torsion(points: Sequence[NDArray[np.float64]]) -> float:
    """Torsion angle of four points (A) in degrees, -180 to 180 (IUPAC sign)."""
    return float(np.degrees(gemmi.calculate_dihedral(*(gemmi.Position(*p) for p in points))))
