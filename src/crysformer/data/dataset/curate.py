"""Conversion of structure files to standardised fragments; every loss is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch

from crysformer.data.criteria import PAPER, Criteria
from crysformer.data.dataset.entries import EntryIndex, refusals, unknowns, with_header
from crysformer.data.dataset.fragment_windows import window_starts
from crysformer.data.dataset.repair import rebuild_side_chains
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.dataset.splits import Splitter
from crysformer.data.dataset.standardise import FAULTS, Chain, parse, standardize
from crysformer.data.recipe import Recipe
from crysformer.data.store import COORDINATE_STEP, SCHEMA
from crysformer.data.synthetic.fitted_cells import build_cells, image_contacts, order_extents
from crysformer.peptide import residues
from crysformer.schema import parse_json, record

_ROWS_AT_ONCE = 4096

#: Rows as they leave curation: with the structure file each comes from.
CURATED = SCHEMA.append(pa.field("file", pa.string(), nullable=False))


@dataclass
class Tally:
    """Counts of the input read, discarded and changed.

    Attributes
    ----------
    counts
        Amount of input read.
    discards
        Input not used, by reason; the first word of a reason says what was lost.
    unknowns
        Files kept although a criterion could not be checked, by criterion.
    changes
        Alterations made in standardising.
    problems
        Files without usable fragments: ``file``, ``kind``, ``reason``.
    """

    counts: Counter[str] = field(default_factory=Counter)
    discards: Counter[str] = field(default_factory=Counter)
    unknowns: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> str:
        """All figures as JSON."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Tally:
        """Read what `to_json` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        read = record(_Figures, parse_json(text))
        counted = {name: Counter(part) for name, part in vars(read).items() if name != "problems"}
        return cls(**counted, problems=read.problems)

    def add(self, other: Tally) -> None:
        """Add another tally's figures to this one."""
        self.counts += other.counts
        self.discards += other.discards
        self.unknowns += other.unknowns
        self.changes += other.changes
        self.problems += other.problems


@dataclass(frozen=True)
class _Figures:
    """A tally as JSON holds it."""

    counts: dict[str, int]
    discards: dict[str, int]
    unknowns: dict[str, int]
    changes: dict[str, int]
    problems: list[dict[str, str]]


@dataclass(frozen=True)
class Curator:
    """Selection and conversion of structure files."""

    recipe: Recipe
    index: EntryIndex
    splitter: Splitter
    strict: bool
    criteria: Criteria = PAPER
    repair: bool = False
    representatives: frozenset[str] | None = None

    def curate(self, files: Sequence[StructureFile]) -> tuple[pa.Table, Tally]:
        """Convert files to fragments (`CURATED`), in input order, with the counts of losses."""
        tally = Tally()
        windows = [window for file in files for window in self._windows(file, tally)]
        tables = [
            self._fragments(windows[i : i + _ROWS_AT_ONCE], tally)
            for i in range(0, len(windows), _ROWS_AT_ONCE)
        ]
        return pa.concat_tables([CURATED.empty_table(), *tables]), tally

    def _windows(self, file: StructureFile, tally: Tally) -> list[_Window]:
        tally.counts["files"] += 1
        try:
            structure = parse(file)
        except ValueError as error:
            return self._refuse(file, tally, "file_unreadable", str(error))
        if not any(len(residue) for model in structure for c in model for residue in c):
            return self._refuse(file, tally, "file_without_atoms", "no atoms in the file")
        entry = with_header(self.index.of_file(file.stem), structure, file.content or b"")
        reasons = refusals(entry, self.criteria)
        if not reasons and self.strict:
            reasons = [f"strict_{reason}" for reason in unknowns(entry)]
        if reasons:
            tally.discards[reasons[0]] += 1
            return []
        if self.representatives is not None and file.stem.lower() not in self.representatives:
            tally.discards["entry_not_best_of_its_cluster"] += 1
            return []
        if self.repair:
            try:
                rebuild_side_chains(structure, tally.changes)
            except ValueError as error:  # the file is used as it is
                tally.problems.append(
                    {"file": file.name, "kind": "side_chains_not_rebuilt", "reason": str(error)}
                )
        chains = standardize(structure, tally.changes)
        if not chains:
            return self._refuse(
                file, tally, "file_without_protein", "no protein chain, only other molecules"
            )
        tally.unknowns.update(unknowns(entry))
        split, group = self.splitter.split(entry.name), self.splitter.group(entry.name)
        windows = []
        for chain in chains:
            tally.counts["chains"] += 1
            if chain.length < self.criteria.min_length:
                tally.discards[f"chain_shorter_than_{self.criteria.min_length}"] += 1
                continue
            tally.counts["residues"] += len(chain.code)
            faults = np.bincount(chain.fault, minlength=len(FAULTS))
            tally.discards.update({FAULTS[i]: int(faults[i]) for i in range(1, len(FAULTS))})
            stride = self.recipe.stride(split)
            for start in window_starts(
                chain, self.recipe.n_residues, stride, tally.discards
            ).tolist():
                windows.append(_Window(entry.name, group, split, chain, start, file.name))
        return windows

    @staticmethod
    def _refuse(file: StructureFile, tally: Tally, reason: str, words: str) -> list[_Window]:
        tally.discards[reason] += 1
        tally.problems.append({"file": file.name, "kind": reason, "reason": words})
        return []

    def _fragments(self, windows: list[_Window], tally: Tally) -> pa.Table:
        n = self.recipe.n_residues
        codes = np.stack([w.chain.code[w.start : w.start + n] for w in windows])
        padded = np.stack([w.chain.xyz[w.start : w.start + n] for w in windows])
        number = residues.NUMBERS[codes].reshape(len(windows), -1)
        # Real atoms first: fragments are stored, and their cells built, without padding.
        order = np.argsort(number == 0, axis=1, kind="stable")
        number = np.take_along_axis(number, order, axis=1)
        xyz = np.take_along_axis(padded.reshape(len(windows), -1, 3), order[..., None], axis=1)

        mass = residues.MASSES[number]
        centre = np.einsum("bn,bnx->bx", mass, xyz) / mass.sum(axis=1, keepdims=True)
        steps = np.where(
            number[..., None] > 0, np.round((xyz - centre[:, None]) / COORDINATE_STEP), 0
        )
        numbers = torch.from_numpy(number.astype(np.int64))
        real = (numbers > 0)[..., None]
        raw = torch.from_numpy(steps * COORDINATE_STEP)
        ordered = order_extents(torch.where(real, raw, raw[:, :1]))
        cells = build_cells(ordered, numbers, self.recipe)
        keep = np.ones(len(windows), dtype=bool)
        if self.recipe.fixed_cell is not None:
            reach = self.recipe.min_contact
            keep &= (image_contacts(cells.xyz, numbers, cells.lengths, reach) >= reach).numpy()
            tally.discards[f"fragment_contact_below_{reach}_A"] += int((~keep).sum())
        stored = np.round(ordered.numpy() / COORDINATE_STEP).astype(np.int16)
        kept = [(w, i) for i, w in enumerate(windows) if keep[i]]
        return pa.table(
            {
                "id": [f"{w.entry}_{w.chain.name}_{w.start}" for w, _ in kept],
                "entry": [w.entry for w, _ in kept],
                "chain": [w.chain.name for w, _ in kept],
                "start": [w.start for w, _ in kept],
                "seqid": [w.chain.seqid[w.start] for w, _ in kept],
                "cluster": [w.group for w, _ in kept],
                "split": [w.split for w, _ in kept],
                "sequence": ["".join(residues.CODES[c] for c in codes[i]) for _, i in kept],
                "cell": list(cells.lengths.numpy()[keep].astype(np.float32)),
                "file": [w.file for w, _ in kept],
                "xyz": [stored[i][number[i] > 0].ravel() for _, i in kept],
            },
            schema=CURATED,
        )


@dataclass(frozen=True)
class _Window:
    entry: str
    group: str
    split: str
    chain: Chain
    start: int
    file: str
