"""Verification of a data set against its manifest and its recipe."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from crysformer.data.checksums import file_hash
from crysformer.data.dataset.manifest import FORMAT, Manifest, content_hash, split_counts
from crysformer.data.dataset.sequences import SHARED, stretches
from crysformer.data.dataset.standardise import PEPTIDE_BOND, PEPTIDE_TOLERANCE
from crysformer.data.examples.fragment_tensors import FragmentTensors
from crysformer.data.recipe import Recipe
from crysformer.data.store import (
    COORDINATE_STEP,
    FRAGMENTS,
    MANIFEST,
    SCHEMA,
    SPLITS,
    FragmentStore,
    FragmentTable,
    read_table,
)
from crysformer.data.synthetic.fitted_cells import build_cells, image_contacts
from crysformer.errors import InputError
from crysformer.peptide import residues
from crysformer.schema import shown
from crysformer.wording import counted

#: Crystals rebuilt in each split; everything else is checked on every row.
_REBUILT = 10_000
#: Rounding of stored coordinates moves a C-N distance by at most sqrt(3) steps, A.
_BOND_ROUNDING = 2 * COORDINATE_STEP


def check(folder: str | Path, seed: int = 0) -> list[str]:
    """Verify a data set made by `build`.

    Hashes, schema, counts, split separation, sequences shared between splits, sequences against
    coordinates, centres of mass and overlap of fragments are checked on every row; cells,
    contacts and peptide bonds on up to 10,000 rows of each split.

    Parameters
    ----------
    folder
        Folder of the data set.
    seed
        Of the choice of those rows.

    Returns
    -------
    list of str
        Problems found, one sentence each; empty if there are none.

    Raises
    ------
    InputError
        If the folder holds no data set or its files cannot be read at all.
    """
    store = FragmentStore.open(folder)
    if store.manifest.get("format") != FORMAT:
        version = shown(store.manifest.get("format"))
        return [f"manifest format is {version}, this version reads {FORMAT}"]
    manifest = Manifest.read(store.folder / MANIFEST)
    path = store.folder / FRAGMENTS
    if file_hash(path) != manifest.hashes[FRAGMENTS]:
        return [f"{FRAGMENTS} is not the file the manifest was written for (SHA-256 differs)"]
    table = read_table(path, SCHEMA)
    problems = []
    if content_hash(table) != manifest.hashes["content"]:
        problems.append("the values differ from those the manifest was written for")
    counts = split_counts(table)
    if any(manifest.counts.get(name) != figures for name, figures in counts.items()):
        problems.append(f"counts differ from the manifest's: found {counts}")
    problems += _separation(table)
    problems += _shared_stretches(table)
    for split in SPLITS:
        try:
            fragments = store.table(split)
        except InputError as error:
            return [*problems, str(error)]
        if len(fragments):
            found = _contents(fragments, store.recipe) or _crystals(fragments, store.recipe, seed)
            problems += [f"{split}: {problem}" for problem in found]
    return problems


def _separation(table: pa.Table) -> list[str]:
    problems = []
    if len(table["id"].unique()) != table.num_rows:
        problems.append("some ids occur twice")
    for column in ("entry", "cluster"):
        pairs = table.group_by([column, "split"]).aggregate([])
        if pairs.num_rows != len(table[column].unique()):
            problems.append(f"some {column} is in more than one split")
    return problems


def _shared_stretches(table: pa.Table) -> list[str]:
    """Find chains of two splits that share 15 residues, whatever their entries and clusters."""
    held_out: dict[str, tuple[str, str]] = {}
    sharing: dict[str, str] = {}
    columns = (table[name].to_pylist() for name in ("split", "entry", "chain", "start", "sequence"))
    rows = sorted(zip(*columns, strict=True))  # test, train, validation
    for order in (("test",), ("validation",), ("train",)):
        chosen = (row for row in rows if row[0] in order)
        for (split, entry, chain), pieces in itertools.groupby(chosen, key=lambda row: row[:3]):
            name = f"{entry}_{chain}"
            for stretch in stretches(_joined((start, text) for *_, start, text in pieces)):
                other, its_split = held_out.get(stretch, (name, split))
                if its_split != split:
                    sharing.setdefault(
                        other, f"{other} ({its_split}) and {name} ({split}) have {stretch}"
                    )
                elif split != "train":
                    held_out[stretch] = (name, split)
    if not sharing:
        return []
    return [
        f"{counted(len(sharing), 'chain shares', 'chains share')} {SHARED} residues with a chain "
        "of another split: "
        f"{next(iter(sharing.values()))}"
    ]


def _joined(pieces: Iterable[tuple[int, str]]) -> str:
    """Sequence of a chain from its fragments, X where it has none."""
    letters: dict[int, str] = {}
    for start, text in pieces:
        letters.update(zip(itertools.count(start), text, strict=False))
    return "".join(letters.get(i, "X") for i in range(max(letters, default=-1) + 1))


def _contents(table: FragmentTable, recipe: Recipe) -> list[str]:
    if any(len(s) != recipe.n_residues or set(s) - set(residues.CODES) for s in table.sequence):
        return [f"some sequence is not {recipe.n_residues} of the letters {residues.CODES}"]
    n_atoms = residues.N_ATOMS[table.codes].sum(axis=1)
    if not np.array_equal(n_atoms, np.diff(table.offset)):
        return ["some fragment has another number of atoms than its sequence"]
    mass = residues.MASSES[table.number]
    total = np.add.reduceat(mass, table.offset[:-1])
    centre = np.add.reduceat(mass[:, None] * table.xyz, table.offset[:-1]) / total[:, None]
    problems = []
    if np.abs(centre).max() > COORDINATE_STEP:
        problems.append(f"some centre of mass is {np.abs(centre).max():.3f} A off the origin")
    place: dict[tuple[str, str], list[int]] = {}
    for key, start in zip(zip(table.entry, table.chain, strict=True), table.start, strict=True):
        place.setdefault(key, []).append(int(start))
    stride = recipe.stride(table.split)
    if any((np.diff(np.sort(starts)) < stride).any() for starts in place.values()):
        problems.append(f"some fragments of a chain overlap: starts closer than {stride}")
    return problems


def _crystals(table: FragmentTable, recipe: Recipe, seed: int) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(table), generator=generator)[:_REBUILT]
    fragments = FragmentTensors(table, "cpu", torch.float64)
    wrong_cell = close = broken = 0
    for part in rows.split(1024):
        xyz, number = fragments.gather(part)
        cells = build_cells(xyz, number, recipe)
        stored = torch.from_numpy(table.cell[part.numpy()]).double()
        wrong_cell += int(((cells.lengths - stored).abs() > 1e-3).any(dim=1).sum())
        reach = recipe.min_contact
        contact = image_contacts(xyz, number, stored, reach + 1)
        close += int((contact < reach - 1e-4).sum())
        broken += _broken_bonds(table, part.numpy())
    problems = []
    if wrong_cell:
        problems.append(f"{wrong_cell} of {len(rows)} cells are not what the recipe gives")
    if close:
        problems.append(
            f"{close} of {counted(len(rows), 'fragment has', 'fragments have')} contacts below "
            f"{recipe.min_contact} A"
        )
    if broken:
        problems.append(
            f"{broken} of {counted(len(rows), 'fragment has', 'fragments have')} neighbours "
            "without a peptide bond"
        )
    return problems


def _broken_bonds(table: FragmentTable, rows: np.ndarray) -> int:
    sizes = residues.N_ATOMS[table.codes[rows]]
    begins = table.offset[rows][:, None] + np.cumsum(sizes, axis=1) - sizes
    c, n = table.xyz[begins[:, :-1] + 2], table.xyz[begins[:, 1:]]
    distance = np.linalg.norm(c - n, axis=-1)
    off = np.abs(distance - PEPTIDE_BOND) > PEPTIDE_TOLERANCE + _BOND_ROUNDING
    return int(off.any(axis=1).sum())
