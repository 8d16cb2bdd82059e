"""A candidate as plain values and tensors, and back; what is read is checked first."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import gemmi
import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl, hkl_to_grid
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.merit.figures import AtomFigures, DensityFigures, Figures, SequenceFigures
from crysformer.phasing.p1_grid import P1Grid
from crysformer.phasing.problem import PhasingProblem
from crysformer.schema import record

_FIGURES: Final = {cls.__name__: cls for cls in (DensityFigures, AtomFigures, SequenceFigures)}


@dataclass(frozen=True)
class _Values:
    """Plain values of a candidate."""

    method: str
    figures: dict[str, Any]
    positive_fraction: float
    hand_log_odds: float
    symmetry: float | None
    peptide: dict[str, Any] | None


@dataclass(frozen=True)
class _Peptide:
    """Parts of a peptide model that are no arrays; its topology follows from the sequences."""

    sequences: list[str]
    space_group: str
    agreement: dict[str, float]


def stored_values(candidate: Candidate) -> dict[str, Any]:
    """Plain values of a candidate, for JSON."""
    model = candidate.peptide
    values = _Values(
        method=candidate.method,
        figures={"kind": type(candidate.figures).__name__, **asdict(candidate.figures)},
        positive_fraction=candidate.positive_fraction,
        hand_log_odds=candidate.hand_log_odds,
        symmetry=candidate.symmetry,
        peptide=None
        if model is None
        else {
            "sequences": list(model.peptides.sequences),
            "space_group": model.space_group.xhm(),
            "agreement": model.agreement,
        },
    )
    return asdict(values)


def stored_tensors(grid: P1Grid, candidate: Candidate) -> dict[str, Tensor]:
    """Structure factors of the measured reflections, and the atoms or the peptide."""
    hkl = _measured(grid)
    found = {
        name: torch.view_as_real(grid_to_hkl(F, hkl).resolve_conj())
        for name, F in (("F", candidate.F), ("model", candidate.model))
    }
    if candidate.atoms is not None:
        found |= vars(candidate.atoms)
    if candidate.peptide is not None:
        model = candidate.peptide
        found["peptide_xyz"] = torch.from_numpy(model.xyz)
        found["peptide_b"] = torch.from_numpy(model.b_iso)
        found["peptide_waters"] = torch.from_numpy(model.waters)
        found["peptide_waters_b"] = torch.from_numpy(model.waters_b)
        found["peptide_F"] = torch.view_as_real(torch.from_numpy(model.F.astype(np.complex128)))
    return {name: x.detach().cpu().contiguous() for name, x in found.items()}


def restored_candidate(problem: PhasingProblem, values: Any, own: dict[str, Tensor]) -> Candidate:
    """Make a candidate of what `stored_values` and `stored_tensors` gave.

    Raises
    ------
    ValueError
        If values or tensors are missing, no numbers, or not those of this crystal.
    """
    read = record(_Values, values)
    _require_finite(read.positive_fraction, read.hand_log_odds, read.symmetry or 0.0)
    hkl = _measured(problem.grid)
    F, model = (
        hkl_to_grid(
            hkl,
            torch.view_as_complex(_checked(own, name, (len(hkl), 2)).to(problem.device)),
            problem.grid.shape,
        )
        for name in ("F", "model")
    )
    return Candidate(
        F=F,
        model=model,
        figures=_figures(read.figures),
        atoms=_atoms(problem, own),
        peptide=None if read.peptide is None else _peptide(problem, read.peptide, own),
        method=read.method,
        positive_fraction=read.positive_fraction,
        hand_log_odds=read.hand_log_odds,
        symmetry=read.symmetry,
    )


def _measured(grid: P1Grid) -> Tensor:
    return torch.as_tensor(grid.data.hkl[grid.data.measured], device=grid.device)


def _figures(values: dict[str, Any]) -> Figures:
    kind = _FIGURES.get(values.get("kind", ""))
    if kind is None:
        raise ValueError("figures of merit of an unknown kind")
    figures = cast(Figures, record(kind, {k: v for k, v in values.items() if k != "kind"}))
    _require_finite(*vars(figures).values())
    for name, value in vars(figures).items():
        if name.startswith("reflections_per") and not value > 0:  # its logarithm is taken
            raise ValueError(f"{name} is {value}")
    return figures


def _atoms(problem: PhasingProblem, own: dict[str, Tensor]) -> EqualAtoms | None:
    if "frac" not in own:
        return None
    n = own["frac"].shape[1] if own["frac"].ndim == 3 else 0
    if n == 0:
        raise ValueError("no atoms")
    shapes = {"frac": (1, n, 3), "occupancy": (1, n), "b_iso": (1,)}
    return EqualAtoms(
        **{name: _checked(own, name, s).to(problem.device) for name, s in shapes.items()}
    )


def _peptide(
    problem: PhasingProblem, values: dict[str, Any], own: dict[str, Tensor]
) -> PeptideModel:
    described = record(_Peptide, values)
    _require_finite(*described.agreement.values())
    if ",".join(described.sequences) not in _repeated(problem):
        raise ValueError("a peptide model of other sequences")
    space_group = gemmi.find_spacegroup_by_name(described.space_group)
    if space_group is None:
        raise ValueError("a peptide model in an unknown space group")
    peptides = build_peptides(described.sequences)
    n, waters = len(peptides.names), len(own.get("peptide_waters_b", ()))
    # Reflections that were not measured have no structure factor.
    F = _checked(own, "peptide_F", (len(problem.data), 2), finite=False)
    if F.isinf().any():
        raise ValueError("infinity in peptide_F")
    return PeptideModel(
        peptides=peptides,
        xyz=_checked(own, "peptide_xyz", (n, 3)).numpy(),
        b_iso=_checked(own, "peptide_b", (n,)).numpy(),
        cell=problem.data.cell,
        space_group=space_group,
        F=torch.view_as_complex(F).numpy(),
        agreement=described.agreement,
        waters=_checked(own, "peptide_waters", (waters, 3)).numpy(),
        waters_b=_checked(own, "peptide_waters_b", (waters,)).numpy(),
    )


def _repeated(problem: PhasingProblem) -> set[str]:
    """Lists of sequences that a model of this crystal may have: once, or once for each copy."""
    sequences = list(problem.content.sequences)
    return {",".join(sequences * n) for n in range(1, max(problem.content.copies, 1) + 1)}


def _checked(
    own: dict[str, Tensor], name: str, shape: tuple[int, ...], finite: bool = True
) -> Tensor:
    if name not in own:
        raise ValueError(f"no tensor {name}")
    tensor = own[name]
    if tuple(tensor.shape) != shape or tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the tensor {name} is {tensor.dtype} {tuple(tensor.shape)}, expected floats {shape}"
        )
    if finite and not tensor.isfinite().all():
        raise ValueError(f"values in the tensor {name} that are no numbers")
    return tensor


def _require_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("infinity among the figures")
