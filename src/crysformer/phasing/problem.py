"""The phase problem of one crystal: everything that a phasing method may know about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping, enantiomorph, expand_to_p1
from crysformer.phasing.cell_content import CellContent, cell_content
from crysformer.phasing.p1_grid import P1Grid, check_grid_memory, p1_grid


@dataclass(frozen=True, eq=False)
class PhasingProblem:
    """A crystal in its own space group and in P1, and the way from one to the other.

    Built once by `phasing_problem` and shared by every method; nothing changes it.

    Attributes
    ----------
    data
        The crystal in its own space group.
    grid
        Its amplitudes in P1, on the half reciprocal grid.
    mapping
        Expansion of the rows of `data` to the rows of `grid.data`.
    content
        Atoms, mean B, sequences and copies.
    """

    data: CrystalData
    grid: P1Grid
    mapping: P1Mapping
    content: CellContent

    @property
    def device(self) -> torch.device:
        """Device of the grids."""
        return self.grid.device

    @property
    def n_operators(self) -> int:
        """Operators of the space group, centring included."""
        return len(self.data.space_group.operations())

    @property
    def symmetric(self) -> bool:
        """True outside P1."""
        return self.n_operators > 1

    @property
    def searched_groups(self) -> tuple[gemmi.SpaceGroup, ...]:
        """The space group and, of an enantiomorphic pair, its partner with the same amplitudes."""
        partner = enantiomorph(self.data.space_group)
        return (self.data.space_group,) if partner is None else (self.data.space_group, partner)

    def expand(self, F: NDArray[np.complex128]) -> Tensor:
        """Structure factors of `data.hkl`, shape (n,), on the half grid of P1; NaN becomes zero.

        On the scale of the grid, whose measured amplitudes have an rms of one.
        """
        return self.grid.to_grid(self.mapping.expand(F) / self.grid.scale)

    def listed(self, F: Tensor) -> NDArray[np.complex128]:
        """Values of a half grid at the measured rows of `grid.data`, shape (m,); NaN elsewhere."""
        used = self.grid.data.measured  # files may list more than the grid holds
        values = np.full(len(used), np.nan, dtype=np.complex128)
        values[used] = grid_to_hkl(F, torch.as_tensor(self.grid.data.hkl[used])).cpu().numpy()
        return values

    def average(self, F: Tensor) -> NDArray[np.complex128]:
        """Measured amplitudes with the phases of `F`, averaged over symmetry mates, shape (n,).

        Parameters
        ----------
        F
            Half grid of P1 whose origin is that of the space group already.

        Returns
        -------
        On the scale of `data`; NaN where not measured.
        """
        phase = np.exp(1j * np.angle(self.mapping.average(self.listed(F))))
        return np.where(self.data.measured, self.data.f * phase, np.nan)


def phasing_problem(
    data: CrystalData,
    sequences: Sequence[str] = (),
    copies: int | None = None,
    device: torch.device | str = "cpu",
    formula: Mapping[str, int] | None = None,
) -> PhasingProblem:
    """Lay out the phase problem of a crystal.

    Parameters
    ----------
    data
        Measured amplitudes, any space group.
    sequences
        Chains of one copy, as `crysformer.peptide.sequence_file.sequences_of` returns them.
    copies
        Copies of all chains or of the formula in the asymmetric unit; estimated by default.
    device
        Device of the grids.
    formula
        Atoms of one molecule by element, in place of sequences.

    Raises
    ------
    InputError, UsageError
        As `cell_content`; also if the grids do not fit into memory.
    """
    if torch.device(device).type == "cpu":
        check_grid_memory(data)
    content = cell_content(data, sequences, copies, formula)
    expanded, mapping = expand_to_p1(data)
    centring = operators(data.space_group).centring
    grid = p1_grid(expanded, device, mapping.parent, centring)
    return PhasingProblem(data, grid, mapping, content)
