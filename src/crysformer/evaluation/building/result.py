"""Result of building models of one crystal from the map of one method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from crysformer.errors import InputError
from crysformer.schema import Unfit, record

Status = Literal["done", "not applicable", "crashed"]
OWN: Final = "crysformer"
"""Builder of this package; other builders are programs."""
FIXED, PLAIN, MODIFIED = "fixed_map", "as_it_is", "density_modified"
"""Models of the package: traced and not refined; traced in the map as it is, or modified, and
refined."""
MODELS: Final = (MODIFIED, PLAIN, FIXED)


@dataclass(frozen=True)
class ModelFigures:
    """Figures of one model.

    Attributes
    ----------
    r_work, r_free
        R factors; the trace of a fixed map has no R-free, since the map knows all reflections.
    cc_e
        Correlation of |E| of the model and measured.
    backbone_rmsd, all_atom_rmsd
        From the true model, after alignment of the origin, A.
    probability, accepted
        Verdict of tracing, which sees map and amplitudes only.
    n_residues
        Residues built.
    """

    r_work: float
    r_free: float | None
    cc_e: float
    backbone_rmsd: float
    all_atom_rmsd: float
    probability: float
    accepted: bool
    n_residues: int


@dataclass(frozen=True)
class PolyAlanine:
    """Trace of alanines in the density-modified map.

    Attributes
    ----------
    cc_f, cc_e
        Correlation of amplitudes, and of normalised amplitudes, of the trace and measured.
    n_residues
        Residues of the trace.
    """

    cc_f: float
    cc_e: float
    n_residues: int


@dataclass(frozen=True)
class BuildingResult:
    """Result of one builder on one map.

    Attributes
    ----------
    crystal, method, builder
        Id of the fragment; key of `evaluation.methods.METHODS`; `OWN` or the name of a program.
    status
        ``"not applicable"`` if the method has no map of the crystal.
    message
        Reason, if not done; of a program, what ended it.
    sequence
        Sequence of the crystal.
    pc, phase_error, phases_solved
        Of the map at the start, after alignment of origin and hand: correlation with the true one,
        F-weighted phase error (degrees), and whether the phases count as solved.
    right_hand
        Whether the map is of the true hand; its mirror image cannot be built with L residues.
    claimed
        Verdict of the method itself, where it gives one.
    models
        Figures of each of `MODELS` that was built, as of `ModelFigures`.
    poly_alanine
        As of `PolyAlanine`; empty if nothing was traced.
    program
        Figures of another program: ``r_work``, ``r_free``, ``cc``, ``n_residues``, as far as it
        gives them.
    phasing_seconds, seconds
        Wall time of the method, and of building.
    cpu_seconds
        Processor time of building with this package.
    """

    crystal: str
    method: str
    builder: str
    status: Status
    message: str = ""
    sequence: str = ""
    pc: float | None = None
    phase_error: float | None = None
    phases_solved: bool | None = None
    right_hand: bool | None = None
    claimed: bool | None = None
    models: dict[str, Any] = field(default_factory=dict)
    poly_alanine: dict[str, Any] = field(default_factory=dict)
    program: dict[str, Any] = field(default_factory=dict)
    phasing_seconds: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """Crystal, method and builder."""
        return self.crystal, self.method, self.builder

    def model(self, name: str) -> ModelFigures | None:
        """Figures of one of `MODELS`; None if it was not built.

        Raises
        ------
        InputError
            If the record holds something else.
        """
        return self._read(ModelFigures, self.models.get(name))

    @property
    def trace(self) -> PolyAlanine | None:
        """Trace of alanines; None if there is none."""
        return self._read(PolyAlanine, self.poly_alanine or None)

    def _read(self, kind: Any, values: Any) -> Any:
        if values is None:
            return None
        try:
            return record(kind, values)
        except Unfit as error:
            raise InputError(f"result of {self.crystal} is damaged: {error}") from error
