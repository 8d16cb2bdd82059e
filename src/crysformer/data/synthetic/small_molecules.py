"""Random organic molecules with hydrogens: rings, chains and functional groups bonded together.

Building blocks are whole molecules (benzene, methane, formamide, ...) of standard geometry. Two
are joined by replacing a hydrogen of each by one bond, with the length of the two covalent radii
and a random torsion; joins that bring atoms of the two closer than non-bonded atoms come are
rejected. Only chemistry that matters to diffraction is meant: bond lengths, angles, planar rings,
the elements and their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.transform import Rotation

_H, _C, _N, _O, _S, _CL = 1, 6, 7, 8, 16, 17
#: Covalent radii, A; a planar carbon has _PLANAR_CARBON.
_COVALENT = {_H: 0.32, _C: 0.765, _N: 0.70, _O: 0.665, _S: 1.03, _CL: 1.01}
_PLANAR_CARBON = 0.735
#: Least distances, A, of atoms three and more bonds apart: of two, of one and a hydrogen, of two
#: hydrogens.
_NEAREST = (2.75, 2.3, 1.9)
#: Failed joins in a row after which a molecule is begun again.
_MAX_FAILURES = 200


@dataclass(frozen=True, eq=False)
class SmallMolecule:
    """Atoms of a molecule, the others before the hydrogens.

    Attributes
    ----------
    number
        Atomic numbers, shape (N,), int64.
    xyz
        Orthogonal coordinates, shape (N, 3), A, the centroid at the origin.
    bonds
        Pairs of bonded atoms, shape (M, 2), int64.
    """

    number: NDArray[np.int64]
    xyz: NDArray[np.float64]
    bonds: NDArray[np.int64]

    @property
    def n_heavy(self) -> int:
        """Atoms other than hydrogen."""
        return int((self.number > 1).sum())


def random_molecule(n_atoms: int, rng: np.random.Generator) -> SmallMolecule:
    """Bond random building blocks to one molecule.

    Parameters
    ----------
    n_atoms
        Atoms other than hydrogen; at least one.
    rng
        Source of the blocks, the places of their bonds, and the torsions.
    """
    while True:
        grown = _grow(n_atoms, rng)
        if grown is not None:
            return grown.molecule()


@dataclass(frozen=True, eq=False)
class _Block:
    """A molecule under construction, or one to be added to it."""

    number: NDArray[np.int64]
    xyz: NDArray[np.float64]
    radius: NDArray[np.float64]
    bonds: NDArray[np.bool_]  # adjacency matrix

    @property
    def n_heavy(self) -> int:
        return int((self.number > 1).sum())

    def parent(self, hydrogen: int) -> int:
        return int(self.bonds[hydrogen].argmax())

    def without(self, atom: int) -> _Block:
        keep = np.arange(len(self.number)) != atom
        return _Block(
            self.number[keep], self.xyz[keep], self.radius[keep], self.bonds[np.ix_(keep, keep)]
        )

    def molecule(self) -> SmallMolecule:
        order = np.argsort(self.number == 1, kind="stable")
        bonds = np.argwhere(np.triu(self.bonds[np.ix_(order, order)])).astype(np.int64)
        xyz = self.xyz[order]
        return SmallMolecule(self.number[order], xyz - xyz.mean(axis=0), bonds)


def _grow(n_atoms: int, rng: np.random.Generator) -> _Block | None:
    blocks, weights = _BLOCKS, _WEIGHTS
    fits = np.array([block.n_heavy <= n_atoms for block in blocks]) & _BEGINNINGS
    grown = blocks[rng.choice(len(blocks), p=_normalised(weights * fits))]
    failures = 0
    while grown.n_heavy < n_atoms:
        fits = np.array([grown.n_heavy + block.n_heavy <= n_atoms for block in blocks])
        added = blocks[rng.choice(len(blocks), p=_normalised(weights * fits))]
        joined = _join(grown, added, rng)
        failures = failures + 1 if joined is None else 0
        grown = grown if joined is None else joined
        if failures > _MAX_FAILURES:
            return None
    return grown


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weights / weights.sum())


def _join(one: _Block, other: _Block, rng: np.random.Generator) -> _Block | None:
    """Bond two blocks in place of a hydrogen of each, or None if that makes no sense."""
    from_one = int(rng.choice(np.flatnonzero(one.number == 1)))
    from_other = int(rng.choice(np.flatnonzero(other.number == 1)))
    a, b = one.parent(from_one), other.parent(from_other)
    if _C not in (one.number[a], other.number[b]):
        return None
    outwards = _unit(one.xyz[from_one] - one.xyz[a])
    inwards = _unit(other.xyz[b] - other.xyz[from_other])
    turn = Rotation.from_rotvec(outwards * rng.uniform(0, 2 * math.pi)) * _aligning(
        inwards, outwards
    )
    anchor = one.xyz[a] + outwards * (one.radius[a] + other.radius[b])
    moved = turn.apply(other.xyz - other.xyz[b]) + anchor

    n = len(one.number)
    bonds = np.zeros((n + len(other.number),) * 2, dtype=bool)
    bonds[:n, :n], bonds[n:, n:] = one.bonds, other.bonds
    bonds[a, n + b] = bonds[n + b, a] = True
    joined = _Block(
        np.concatenate([one.number, other.number]),
        np.concatenate([one.xyz, moved]),
        np.concatenate([one.radius, other.radius]),
        bonds,
    )
    joined = joined.without(n + from_other).without(from_one)
    return None if _clashes(joined, n - 1) else joined


def _clashes(block: _Block, n: int) -> bool:
    """Test for non-bonded contacts between the first `n` atoms and the others."""
    apart = np.linalg.norm(block.xyz[:n, None] - block.xyz[None, n:], axis=-1)
    hydrogens = (block.number[:n, None] == 1).astype(int) + (block.number[None, n:] == 1)
    close = apart < np.array(_NEAREST)[hydrogens]
    if not close.any():
        return False
    rows = np.flatnonzero(close.any(axis=1))
    steps = dijkstra(block.bonds.astype(float), indices=rows, unweighted=True, limit=2)[:, n:]
    return bool((close[rows] & ~np.isfinite(steps)).any())


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))


def _aligning(start: NDArray[np.float64], end: NDArray[np.float64]) -> Rotation:
    """A rotation that takes one unit vector to another."""
    axis, cosine = np.cross(start, end), float(start @ end)
    if cosine < -1 + 1e-9:
        axis = _unit(np.cross(start, np.eye(3)[np.abs(start).argmin()]))
        return Rotation.from_rotvec(math.pi * axis)
    length = np.linalg.norm(axis)
    angle = math.atan2(float(length), cosine)
    return Rotation.from_rotvec(axis * (angle / length if length > 0 else 0.0))


def _block(
    atoms: list[tuple[int, tuple[float, float, float]]],
    planar: bool,
    hydrogens: list[tuple[int, tuple[float, float, float]]],
) -> _Block:
    """A block from its atoms and from the directions of its hydrogens, (atom, direction)."""
    number = np.array([z for z, _ in atoms] + [_H] * len(hydrogens), dtype=np.int64)
    heavy = np.array([position for _, position in atoms], dtype=np.float64)
    of_carbon = _PLANAR_CARBON if planar else _COVALENT[_C]
    radius = np.array([of_carbon if z == _C else _COVALENT[int(z)] for z in number])
    at = [
        heavy[i] + _unit(np.array(towards)) * (_COVALENT[atoms[i][0]] + _COVALENT[_H])
        for i, towards in hydrogens
    ]
    n = len(atoms)
    bonds = np.zeros((len(number),) * 2, dtype=bool)
    apart = np.linalg.norm(heavy[:, None] - heavy[None], axis=-1)
    bonds[:n, :n] = (apart > 0) & (apart < 1.9)
    for k, (i, _) in enumerate(hydrogens, start=n):
        bonds[i, k] = bonds[k, i] = True
    return _Block(number, np.concatenate([heavy, np.array(at)]), radius, bonds)


def _ring(elements: list[int], positions: list[tuple[float, float]], open_at: list[int]) -> _Block:
    """A planar ring about the origin, with hydrogens along the radii of some atoms."""
    atoms = [(z, (x, y, 0.0)) for z, (x, y) in zip(elements, positions, strict=True)]
    return _block(atoms, True, [(i, atoms[i][1]) for i in open_at])


def _tetrahedral(element: int, n_hydrogens: int) -> _Block:
    corners = [(1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0)]
    return _block(
        [(element, (0.0, 0.0, 0.0))], False, [(0, corner) for corner in corners[:n_hydrogens]]
    )


def _cyclohexane() -> _Block:
    """The chair, C-C 1.53 A: axial and equatorial hydrogens on each atom."""
    radius, height = 1.446, 0.25
    atoms: list[tuple[int, tuple[float, float, float]]] = []
    hydrogens: list[tuple[int, tuple[float, float, float]]] = []
    for i in range(6):
        angle, up = math.radians(60 * i), 1.0 if i % 2 == 0 else -1.0
        x, y = math.cos(angle), math.sin(angle)
        atoms.append((_C, (radius * x, radius * y, up * height)))
        hydrogens += [(i, (0.0, 0.0, up)), (i, (0.943 * x, 0.943 * y, -0.333 * up))]
    return _block(atoms, False, hydrogens)


def _blocks() -> tuple[tuple[_Block, float, bool], ...]:
    """Building blocks, each with its weight and a flag of molecules that may begin with it."""
    hexagon = [
        (1.39 * math.cos(math.radians(60 * i)), 1.39 * math.sin(math.radians(60 * i)))
        for i in range(6)
    ]
    thiophene = [(0.0, 1.19), (1.236, 0.0), (0.71, -1.266), (-0.71, -1.266), (-1.236, 0.0)]
    furan = [(0.0, 1.16), (1.09, 0.35), (0.713, -0.96), (-0.713, -0.96), (-1.09, 0.35)]
    trigonal = [(-math.sqrt(3) / 2, -0.5, 0.0), (math.sqrt(3) / 2, -0.5, 0.0)]
    centre = (0.0, 0.0, 0.0)
    conjugated = (1.33 * math.sqrt(3) / 2, -1.33 * 0.5, 0.0)  # N or O at 120 degrees to C=O
    return (
        (_ring([_C] * 6, hexagon, list(range(6))), 3.0, True),
        (_ring([_N] + [_C] * 5, hexagon, list(range(1, 6))), 1.0, True),
        (_ring([_S] + [_C] * 4, thiophene, [1, 2, 3, 4]), 0.4, True),
        (_ring([_O] + [_C] * 4, furan, [1, 2, 3, 4]), 0.6, True),
        (_cyclohexane(), 1.0, True),
        (_tetrahedral(_C, 4), 4.0, True),
        (_tetrahedral(_N, 3), 1.0, False),
        (_tetrahedral(_O, 2), 1.5, False),
        (_tetrahedral(_S, 2), 0.3, False),
        (_tetrahedral(_CL, 1), 0.5, False),
        (  # formaldehyde
            _block([(_C, centre), (_O, (0.0, 1.21, 0.0))], True, [(0, d) for d in trigonal]),
            1.2,
            False,
        ),
        (  # formamide
            _block(
                [(_C, centre), (_O, (0.0, 1.23, 0.0)), (_N, conjugated)],
                True,
                [(0, trigonal[0]), (2, (0.0, -1.0, 0.0)), (2, (math.sqrt(3) / 2, 0.5, 0.0))],
            ),
            2.0,
            False,
        ),
        (  # formic acid; acids and esters
            _block(
                [(_C, centre), (_O, (0.0, 1.21, 0.0)), (_O, conjugated)],
                True,
                [(0, trigonal[0]), (2, (math.sqrt(3) / 2, 0.5, 0.0))],
            ),
            0.8,
            False,
        ),
        (  # hydrogen cyanide; nitriles
            _block([(_C, centre), (_N, (0.0, 1.15, 0.0))], True, [(0, (0.0, -1.0, 0.0))]),
            0.4,
            False,
        ),
    )


_BLOCKS = tuple(block for block, _, _ in _blocks())
_WEIGHTS = np.array([weight for _, weight, _ in _blocks()])
_BEGINNINGS = np.array([begins for _, _, begins in _blocks()])
