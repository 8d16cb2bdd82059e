"""State of a search on disk: a killed or unfinished run is resumed from it.

One safetensors file: the random generator of each method, and of each candidate the structure
factors of the measured reflections (nothing else of its half grids is used) and the atoms or the
peptide. Counters, figures of merit and a description of the search are JSON in the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import gemmi
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl, hkl_to_grid
from crysformer.crystal.molecular_formula import formula_text
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable
from crysformer.files import atomic_path
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.merit.figures import AtomFigures, DensityFigures, SequenceFigures
from crysformer.phasing.p1_grid import P1Grid
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.search import Search

STATE: Final = "state.safetensors"
_FORMAT: Final = 4
_INTERVAL: Final = 10.0  # seconds between writes: short runs are not slowed down
_FIGURES: Final = {cls.__name__: cls for cls in (DensityFigures, AtomFigures, SequenceFigures)}


class Checkpoint:
    """The state file of one search.

    Parameters
    ----------
    path
        The file; a file that is there already is only read by `restore`.
    problem
        The crystal, with its sequences and copies.
    options
        Options of the run; kept for the record, a resumed search may have others.

    Attributes
    ----------
    seconds, runs
        Wall-clock time of earlier runs of this search together, and their number.
    """

    def __init__(self, path: str | Path, problem: PhasingProblem, options: dict[str, Any]) -> None:
        self.path = Path(path)
        self._problem = problem
        self._of = {
            "data": data_hash(problem.data),
            "sequence": ",".join(problem.content.sequences),
            "copies": problem.content.copies,
            "composition": _composition(problem),
        }
        self._options = options
        self._begun = self._written = time.monotonic()
        self.seconds = 0.0
        self.runs = 0

    def keep(self, search: Search) -> None:
        """Write the state of `search` if the last time was a while ago."""
        if time.monotonic() - self._written >= _INTERVAL:
            self.write(search)

    def write(self, search: Search) -> None:
        """Write the state of `search`, whole or not at all."""
        tensors = {f"generator.{name}": g.get_state() for name, g in search.generators.items()}
        candidates = []
        for i, candidate in enumerate(search.pool.candidates):
            own = _tensors(self._problem.grid, candidate)
            tensors |= {f"{i}.{name}": x for name, x in own.items()}
            candidates.append(
                {
                    "method": candidate.method,
                    "figures": {
                        "kind": type(candidate.figures).__name__,
                        **asdict(candidate.figures),
                    },
                    "positive_fraction": candidate.positive_fraction,
                    "hand_log_odds": candidate.hand_log_odds,
                    "symmetry": candidate.symmetry,
                    "peptide": _described(candidate.peptide),
                }
            )
        content = {
            "format": _FORMAT,
            **self._of,
            "options": self._options,
            "settings": _settings_hash(search),
            "methods": {name: method.state() for name, method in search.methods.items()},
            "seconds": self.seconds + time.monotonic() - self._begun,
            "runs": self.runs + 1,
            "candidates": candidates,
        }
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(save(tensors, metadata={"state": json.dumps(content)}))
        self._written = time.monotonic()

    def restore(self, search: Search) -> bool:
        """Continue `search` from the file; False if there is no file.

        Raises
        ------
        InputError
            If the file is damaged, or of other data, another sequence or other copies.
        """
        if not self.path.exists():
            return False
        try:
            with safe_open(self.path, framework="pt") as file:
                content = json.loads((file.metadata() or {})["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{self.path}: not a readable state of a search ({error}); remove it"
            ) from error
        self._check(content)
        try:
            candidates = [
                _candidate(self._problem, values, tensors, i)
                for i, values in enumerate(content["candidates"])
            ]
            changed = content["settings"] != _settings_hash(search)
            for name, state in content["methods"].items():
                # with other settings a finished method may find something else
                state["finished"] = state["finished"] and not changed
                _restore_method(search, name, state, tensors)
            self.seconds, self.runs = content["seconds"], content["runs"]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: not a whole state of a search (no {error}); remove it"
            ) from error
        search.pool.add(candidates)
        return True

    def _check(self, content: dict[str, Any]) -> None:
        if content.get("format") != _FORMAT:
            raise InputError(
                f"{self.path}: the state of another version of crysformer (format "
                f"{content.get('format')}, expected {_FORMAT}); remove it to begin anew"
            )
        for name, now in self._of.items():
            if content.get(name, "") != now:
                what = "other reflection data" if name == "data" else (
                    f"the {name} {content.get(name) or 'unknown'}, not {now or 'unknown'}"
                )  # fmt: skip
                raise InputError(
                    f"{self.path}: the search to resume is of {what}; choose another output folder"
                )


def _composition(problem: PhasingProblem) -> str:
    """Composition that was given in place of a sequence; empty if none was."""
    content = problem.content
    return "" if content.sequences else formula_text(content.composition)


def _settings_hash(search: Search) -> str:
    return hashlib.sha256(repr(search.settings).encode()).hexdigest()


def _restore_method(
    search: Search, name: str, state: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    try:
        search.method(name).restore(state)
    except NotApplicable:  # an option of this run, such as its settings, rules it out
        return
    if f"generator.{name}" in tensors:
        search.generator(name).set_state(tensors[f"generator.{name}"])


def data_hash(data: CrystalData) -> str:
    """SHA-256 of everything measured: cell, space group, indices, amplitudes, uncertainties."""
    digest = hashlib.sha256()
    digest.update(repr((data.cell.parameters, data.space_group.xhm(), data.radiation)).encode())
    for column in (data.hkl, data.f, data.sigf):
        if column is not None:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _measured(grid: P1Grid) -> Tensor:
    return torch.as_tensor(grid.data.hkl[grid.data.measured], device=grid.device)


def _tensors(grid: P1Grid, candidate: Candidate) -> dict[str, Tensor]:
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


def _described(model: PeptideModel | None) -> dict[str, Any] | None:
    """Parts of a peptide model that are no arrays; its topology follows from the sequences."""
    if model is None:
        return None
    return {
        "sequences": list(model.peptides.sequences),
        "space_group": model.space_group.xhm(),
        "agreement": model.agreement,
    }


def _candidate(
    problem: PhasingProblem,
    values: dict[str, Any],
    tensors: dict[str, Tensor],
    i: int,
) -> Candidate:
    hkl = _measured(problem.grid)
    own = {
        name.split(".", 1)[1]: tensor if "peptide" in name else tensor.to(problem.device)
        for name, tensor in tensors.items()
        if name.startswith(f"{i}.")
    }
    F, model = (
        hkl_to_grid(hkl, torch.view_as_complex(own[name]), problem.grid.shape)
        for name in ("F", "model")
    )
    atoms = EqualAtoms(own["frac"], own["occupancy"], own["b_iso"]) if "frac" in own else None
    described = values.pop("peptide")
    figures = values.pop("figures")
    kind = _FIGURES[figures.pop("kind")]
    peptide = None
    if described is not None:
        peptide = PeptideModel(
            peptides=build_peptides(described["sequences"]),
            xyz=own["peptide_xyz"].numpy(),
            b_iso=own["peptide_b"].numpy(),
            cell=problem.data.cell,
            space_group=gemmi.SpaceGroup(described["space_group"]),
            F=torch.view_as_complex(own["peptide_F"]).numpy(),
            agreement=described["agreement"],
            waters=own["peptide_waters"].numpy(),
            waters_b=own["peptide_waters_b"].numpy(),
        )
    return Candidate(
        F=F, model=model, figures=kind(**figures), atoms=atoms, peptide=peptide, **values
    )
