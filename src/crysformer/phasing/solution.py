"""Result of the solver."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.projections_svg import projections_svg
from crysformer.crystal.io.dataset import to_dataset
from crysformer.crystal.io.write import phased_mtz
from crysformer.crystal.molecular_formula import formula_text
from crysformer.crystal.reflections import CrystalData
from crysformer.inline_html import card
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.origin.space_group_ranking import SpaceGroupFigures
from crysformer.phasing.search import CoursePoint
from crysformer.phasing.sequence_support.verdict import SequenceSupport
from crysformer.phasing.settings import SolveSettings
from crysformer.wording import hand_text


@dataclass(frozen=True)
class CandidateReport:
    """One candidate as it is reported: where it came from and its figures of merit."""

    method: str
    confidence: float
    figures: dict[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """Phases of a crystal, and an honest verdict on them.

    Attributes
    ----------
    solved
        Whether the confidence is high enough to claim it.
    confidence
        Probability, 0 to 1, that the phases are right.
    method
        The method that found them.
    f
        Weighted amplitudes FOM x F, shape (n,) as the data's hkl, on its scale; 0 without phase.
    phi
        Degrees, shape (n,); NaN where there is none.
    fom
        Figure of merit, shape (n,): expected cosine of the phase error (Sim, Acta Cryst. 13, 511,
        1960) if the solution is right, from how well its model fits each amplitude.
    density
        Map of `f` and `phi` in the crystal's space group.
    space_group
        The space group of the solution: the input's, unless another one was to be found.
    hand_probability
        Probability that this hand, and not its mirror image, is right.
    enantiomorph
        For a group such as P41: the agreement with it and with its partner; empty otherwise.
    origin
        Choice of the origin, in words.
    candidates
        The best ones, best first.
    seconds
        Wall-clock time, of all resumed runs together.
    notes
        Assumptions and ambiguities, a sentence each.
    starts
        Random starts of charge flipping and RAAR, of all resumed runs together.
    settings
        Settings of the search.
    model
        The atoms, where the sequence search found them.
    atoms
        Atoms with their elements, of a claimed solution at atomic resolution; the phases are theirs
        then.
    interruption
        The Ctrl-C or SIGTERM that ended the search early.
    space_groups
        Space groups that the phases support, as they were found in P1, the highest first
        (`crysformer.phasing.origin.space_group_ranking`); empty without a convincing candidate.
    data
        The measurements that `f`, `phi` and `fom` belong to: the input's, or merged in the space
        group that was found.
    course
        Turns of the methods, of the last run if the search was resumed.
    sequence
        Whether the amplitudes support the sequence, if there is a peptide model of it. If they
        refute it, `model` lacks the side chains in question (`PeptideModel.truncated`).
    refinement
        R factors of working and free reflections of `model`, for the summary, where it was refined
        without the free ones.
    """

    solved: bool
    confidence: float
    method: str
    f: NDArray[np.float64]
    phi: NDArray[np.float64]
    fom: NDArray[np.float64]
    density: DensityMap
    space_group: gemmi.SpaceGroup
    hand_probability: float
    enantiomorph: dict[str, float]
    origin: str
    candidates: tuple[CandidateReport, ...]
    seconds: float
    notes: tuple[str, ...]
    starts: int = 0
    settings: SolveSettings = field(default_factory=SolveSettings)
    model: PeptideModel | None = None
    atoms: AtomicStructure | None = None
    interruption: KeyboardInterrupt | None = None
    space_groups: tuple[SpaceGroupFigures, ...] = ()
    data: CrystalData | None = None
    course: tuple[CoursePoint, ...] = ()
    sequence: SequenceSupport = field(default_factory=SequenceSupport)
    refinement: dict[str, Any] | None = None

    def to_summary(self) -> dict[str, Any]:
        """The content of ``summary.json``: plain numbers, strings and lists."""
        return {
            "solved": self.solved,
            "confidence": _rounded(self.confidence),
            "method": self.method,
            "hand_probability": _rounded(self.hand_probability),
            "space_group": self.space_group.xhm(),
            "space_groups": [
                {
                    name: _rounded(value) if isinstance(value, float) else value
                    for name, value in asdict(group).items()
                }
                for group in self.space_groups
            ],
            "enantiomorph": {name: _rounded(x) for name, x in self.enantiomorph.items()},
            "origin": self.origin,
            "candidates": [
                {
                    "method": c.method,
                    "confidence": _rounded(c.confidence),
                    "figures": {name: _rounded(x) for name, x in c.figures.items()},
                }
                for c in self.candidates
            ],
            "atoms": self._atoms(),
            "sequence": self.sequence.to_summary(),
            "refinement": self.refinement,
            "seconds": round(self.seconds, 2),
            "starts": self.starts,
            "course": [
                {
                    "seconds": round(point.seconds, 2),
                    "method": point.method,
                    "confidence": _rounded(point.confidence),
                }
                for point in self.course
            ],
            "notes": list(self.notes),
            "settings": asdict(self.settings),
        }

    def to_gemmi(self) -> gemmi.Mtz:
        """Copy to an MTZ in memory, as ``solution.mtz`` is without added free flags.

        Returns
        -------
        gemmi.Mtz
            Measured amplitudes with FWT, PHWT and FOM.

        Raises
        ------
        ValueError
            If the solution has no `data`.
        """
        if self.data is None:
            raise ValueError("the solution has no data")
        return phased_mtz(self.data, self.f, self.phi, self.fom)

    def to_dataset(self) -> Any:
        """Copy to a data set of reciprocalspaceship (extra ``reciprocalspaceship``).

        Returns
        -------
        reciprocalspaceship.DataSet
            With the columns of `to_gemmi`.

        Raises
        ------
        UsageError
            If that package is not installed.
        """
        return to_dataset(self.to_gemmi())

    @property
    def verdict(self) -> str:
        """Whether it is solved, how surely, and by which method, in one line."""
        return (
            f"{'solved' if self.solved else 'not solved'} (confidence {self.confidence:.2f}), "
            f"method {self.method}, {self.seconds:.1f} s"
        )

    def __repr__(self) -> str:
        return f"<Solution in {self.space_group.xhm()}: {self.verdict}>"

    def _repr_html_(self) -> str:
        sequence = self.sequence.to_summary()
        rows = {
            "space group": self.space_group.xhm(),
            "hand": hand_text(self.hand_probability),
            "origin": self.origin,
            "sequence": "" if sequence["probability"] is None else sequence["verdict"],
            "atoms": "" if self.atoms is None else formula_text(self.atoms.formula),
            "notes": "; ".join(self.notes),
        }
        warning = "" if self.solved else "Unsolved: this density is most probably wrong."
        title = self.verdict[0].upper() + self.verdict[1:]
        return card(title, rows, projections_svg(self.density), warning=warning)

    def _atoms(self) -> dict[str, Any] | None:
        if self.atoms is None:
            return None
        return {"elements": self.atoms.formula, "r": _rounded(self.atoms.r)}


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
