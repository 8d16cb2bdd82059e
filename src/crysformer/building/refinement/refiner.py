"""Interface of the programs that refine a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.dictionaries import Dictionaries
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError

Displacement = Literal["iso", "aniso"]


class RefinementFailed(CrysformerError):  # noqa: N818 (named for what happened to the refinement)
    """Refinement that gave no model, with the reason in one line.

    Attributes
    ----------
    log
        Output of the program.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True, eq=False)
class RefinedStructure:
    """A model after refinement.

    Attributes
    ----------
    structure
        The model; the one that was given stays as it was.
    program
        Name and version.
    cycles
        Cycles (servalcat) or steps (own refinement) taken.
    log
        Output of the program.
    figures
        Figures of the program itself, such as ``r_work``, ``r_free``, ``rms_bonds`` (A),
        ``rms_angles`` (degrees), and the ``gain`` in R of the last cycles, as far as it gives
        them.
    """

    structure: gemmi.Structure
    program: str
    cycles: int
    log: str = ""
    figures: dict[str, float] = field(default_factory=dict)


class Refiner(Protocol):
    """A program that refines a model against amplitudes."""

    @property
    def program(self) -> str:
        """Name."""
        ...

    @property
    def dictionaries(self) -> Dictionaries:
        """Restraints of the residues."""
        ...

    @property
    def full(self) -> bool:
        """Whether it refines anisotropic B and adds riding hydrogens."""
        ...

    def refine(
        self,
        structure: gemmi.Structure,
        data: CrystalData,
        free: NDArray[np.bool_],
        *,
        cycles: int,
        displacement: Displacement = "iso",
        hydrogens: bool = False,
        deadline: float,
    ) -> RefinedStructure:
        """Refine coordinates and B.

        Parameters
        ----------
        structure
            The model, in the space group of the data.
        data
            Measured amplitudes.
        free
            Reflections that refinement leaves out, shape (n_data,).
        cycles
            Cycles of refinement.
        displacement
            Isotropic or anisotropic B.
        hydrogens
            Write riding hydrogens into the model; otherwise hydrogens of the model are removed.
        deadline
            `time.monotonic` at which the program is stopped.

        Raises
        ------
        RefinementFailed
            If it gives no model.
        """
        ...
