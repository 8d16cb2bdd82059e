"""Parameters of random starts that follow from what is in the cell."""

from __future__ import annotations

import torch

from crysformer.phasing.problem import PhasingProblem

# Fraction of the voxels that charge flipping should leave positive: measured on tight dipeptide
# cells and on 15-residue fragments in empty cells at 1.5 A, in between linear in the atoms to the
# volume, and in proportion to the area of an atom at other resolutions.
_EMPTY_FRACTION, _FRACTION_PER_DENSITY = 0.06, 7.5
_FRACTION_RANGE = (0.07, 0.26)
_SPREAD = (0.75, 1.25)
# Supports of RAAR: the molecule where the cell is empty; elsewhere no more than this fraction of
# the cell, which then holds the atoms rather than the molecule and follows them more closely.
_ATOM_VOLUME = 20.0  # A^3, hydrogen included
_MOLECULE_ROOM, _MOLECULE_WIDTH = 1.25, 1.5  # times its volume; A
_MAX_SUPPORT = 0.27


def positive_fractions(problem: PhasingProblem, n: int, generator: torch.Generator) -> torch.Tensor:
    """Fractions of positive voxels for `n` starts of charge flipping, shape (n,).

    Spread around the value expected for the number of atoms; over the whole range where that is
    unknown.
    """
    uniform = torch.rand(n, generator=generator)
    low, high = _FRACTION_RANGE
    n_atoms, data = problem.content.n_atoms, problem.data
    if n_atoms is None:
        return low * (high / low) ** uniform
    density = n_atoms / data.cell.volume * (data.d_min / 1.5) ** 2
    expected = min(max(_EMPTY_FRACTION + _FRACTION_PER_DENSITY * density, low), high)
    narrow, wide = _SPREAD
    return expected * (narrow + (wide - narrow) * uniform)


def filled_fraction(problem: PhasingProblem) -> float | None:
    """Fraction of the cell that atoms fill; None if their number is unknown."""
    n_atoms = problem.content.n_atoms
    return None if n_atoms is None else n_atoms * _ATOM_VOLUME / problem.data.cell.volume


def supports(
    problem: PhasingProblem, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Supports for `n` starts of RAAR: fractions of the voxels and widths in A, shape (n,) each.

    Spread around the room that the molecules need, or about a quarter of the cell if that is less;
    over the whole range where the number of atoms is unknown.
    """
    uniform = torch.rand(n, generator=generator)
    filled = filled_fraction(problem)
    if filled is None:
        low, high = _FRACTION_RANGE
        fraction = low * (high / low) ** uniform
        return fraction, _MOLECULE_WIDTH * torch.rand(n, generator=generator).clamp(min=0.3)
    narrow, wide = _SPREAD
    room = _MOLECULE_ROOM * filled
    fraction = min(room, _MAX_SUPPORT) * (narrow + (wide - narrow) * uniform)
    return fraction, _MOLECULE_WIDTH * fraction / room
