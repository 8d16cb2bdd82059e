"""State of a search on disk: a killed or unfinished run is resumed from it.

One safetensors file: the random generator of each method, and of each candidate the structure
factors of the measured reflections (nothing else of its half grids is used) and the atoms or the
peptide. Counters, figures of merit and a description of the search are JSON in the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from crysformer.crystal.molecular_formula import formula_text
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable
from crysformer.files import write_bytes
from crysformer.phasing.method import METHODS
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.search import Search
from crysformer.phasing.stored_candidate import restored_candidate, stored_tensors, stored_values
from crysformer.schema import parse_json, record

STATE: Final = "state.safetensors"
_FORMAT: Final = 4
_INTERVAL: Final = 10.0  # seconds between writes: short runs are not slowed down


@dataclass(frozen=True)
class _Content:
    """JSON of a state."""

    format: int
    data: str
    sequence: str
    copies: int | None
    composition: str
    options: dict[str, Any]
    settings: str
    methods: dict[str, dict[str, Any]]
    seconds: float
    runs: int
    candidates: list[dict[str, Any]]


@dataclass(frozen=True)
class _Counters:
    """State of a method, as `TurnCounter` gives it."""

    tried: int
    turns: int
    finished: bool


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
            own = stored_tensors(self._problem.grid, candidate)
            tensors |= {f"{i}.{name}": x for name, x in own.items()}
            candidates.append(stored_values(candidate))
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
        text = json.dumps(content)
        write_bytes(
            self.path,
            save(tensors, metadata={"state": text, "sha256": _content_hash(text, tensors)}),
        )
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
        content, tensors = self._read()
        self._check(content)
        try:
            read = record(_Content, content)
            candidates = [
                restored_candidate(self._problem, values, _own(tensors, i))
                for i, values in enumerate(read.candidates)
            ]
            if not (0 <= read.seconds < math.inf and read.runs >= 0):
                raise ValueError(f"{read.seconds} s in {read.runs} runs")
            changed = read.settings != _settings_hash(search)
            for name, values in read.methods.items():
                state = record(_Counters, values)
                if state.tried < 0 or state.turns < 0:
                    raise ValueError(f"{state.tried} attempts in {state.turns} turns of {name}")
                # with other settings a finished method may find something else
                finished = state.finished and not changed
                _restore_method(search, name, replace(state, finished=finished), tensors)
        except (ValueError, RuntimeError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"{self.path}: not a whole state of a search ({reason}); remove it"
            ) from error
        self.seconds, self.runs = read.seconds, read.runs
        # An earlier run may have rated symmetry in another way: in any space group, or in one.
        search.adopt(
            [c if c.peptide is not None else replace(c, symmetry=None) for c in candidates]
        )
        return True

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Content and tensors of the file, undamaged."""
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = metadata["state"]
            # Earlier files have no hash.
            if metadata.get("sha256", "") not in ("", _content_hash(text, tensors)):
                raise ValueError("damaged: its SHA-256 differs")
            content = parse_json(text)
            if not isinstance(content, dict):
                raise ValueError("no table of values")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(
                f"{self.path}: not a readable state of a search ({error}); remove it"
            ) from error
        return content, tensors

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


def _content_hash(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        x = tensors[name].contiguous()
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        digest.update(x.numpy().tobytes())
    return digest.hexdigest()


def _own(tensors: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Tensors of one candidate."""
    prefix = f"{i}."
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _restore_method(
    search: Search, name: str, state: _Counters, tensors: dict[str, Tensor]
) -> None:
    if name not in METHODS:
        raise ValueError(f"an unknown method {name!r}")
    try:
        search.method(name).restore(asdict(state))
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
