"""The fragment data set on disk: one Parquet file of coordinates and one manifest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crysformer.data.molecule import Molecule
from crysformer.data.recipe import RECIPES, Recipe, recipe_by_name
from crysformer.errors import InputError
from crysformer.peptide import residues
from crysformer.schema import read_json_object, shown

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")

FRAGMENTS = "fragments.parquet"
MANIFEST = "manifest.json"

#: Stored coordinates are whole multiples of this, A.
COORDINATE_STEP = 0.005
#: Cell edges that are believed, A: any larger, and a map would fill the memory.
_MIN_EDGE, _MAX_EDGE = 1.0, 500.0


@dataclass(frozen=True)
class Column:
    """Meaning of a column, and unit and shape of one value."""

    meaning: str
    unit: str = ""
    shape: str = "scalar"


#: The columns of `SCHEMA`, in their order.
COLUMNS: Final = {
    "id": Column("entry, chain and start, such as 1shg_A_12"),
    "entry": Column("PDB code, or name of the source file"),
    "chain": Column("name of the chain"),
    "start": Column("position of the first residue along the observed chain, from 0"),
    "seqid": Column("author residue number of the first residue, with insertion code"),
    "cluster": Column("group of related entries, which are in one split"),
    "split": Column("train, validation or test"),
    "sequence": Column("one-letter codes; they determine the atoms and their order"),
    "cell": Column("edges a >= b >= c of the stored orientation; angles 90 degrees", "A", "(3,)"),
    "xyz": Column(
        "x, y, z of each atom along the cell's axes, centre of mass at the origin",
        f"{COORDINATE_STEP:g} A",
        "(3 * atoms,)",
    ),
}

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("entry", pa.string(), nullable=False),
        pa.field("chain", pa.string(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("seqid", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
        pa.field("cell", pa.list_(pa.float32(), 3), nullable=False),
        pa.field("xyz", pa.list_(pa.int16()), nullable=False),
    ]
)


@dataclass(frozen=True, eq=False)
class FragmentTable:
    """Fragments as flat arrays; atoms of fragment i are rows ``offset[i]:offset[i + 1]``.

    Attributes
    ----------
    xyz
        Coordinates relative to the centre of mass, axes along the cell's, shape (A, 3), float32,
        A.
    offset
        First atom of each fragment, shape (n + 1,), int64.
    sequence
        One-letter sequences, n strings. Every residue is complete, so a sequence also defines the
        atoms, in the order of `residues.ATOMS`.
    id, entry, chain, cluster
        Origin of each fragment, n strings each.
    start
        Position of the first residue along its chain as observed, shape (n,), int32.
    cell
        Cell edges a >= b >= c of the stored orientation, shape (n, 3), float32, A.
    split
        The split of all fragments.
    """

    xyz: NDArray[np.float32]
    offset: NDArray[np.int64]
    sequence: list[str]
    id: list[str]
    entry: list[str]
    chain: list[str]
    cluster: list[str]
    start: NDArray[np.int32]
    cell: NDArray[np.float32]
    split: Split

    def __len__(self) -> int:
        return len(self.sequence)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """Residue indices into `residues.CODES`, shape (n, J); fragments have one length."""
        return _codes(self.sequence)

    @cached_property
    def number(self) -> NDArray[np.uint8]:
        """Atomic numbers, shape (A,)."""
        flat = residues.NUMBERS[self.codes.ravel()]
        return flat[flat > 0]

    @cached_property
    def residue(self) -> NDArray[np.uint8]:
        """Index of each atom's residue within its fragment, shape (A,)."""
        position = np.tile(np.arange(self.codes.shape[1], dtype=np.uint8), len(self))
        return np.repeat(position, residues.N_ATOMS[self.codes.ravel()])

    def atoms(self, index: int) -> slice:
        """Rows of `xyz`, `number` and `residue` of one fragment."""
        return slice(int(self.offset[index]), int(self.offset[index + 1]))

    def molecule(self, index: int) -> Molecule:
        """One fragment by itself."""
        xyz = self.xyz[self.atoms(index)].astype(np.float64)
        return Molecule(self.id[index], self.sequence[index], xyz)

    def take(self, rows: NDArray[np.int64]) -> FragmentTable:
        """Some of the fragments, in the order of `rows`."""
        atoms = [np.arange(self.offset[row], self.offset[row + 1]) for row in rows]
        chosen = rows.tolist()
        return FragmentTable(
            xyz=self.xyz[np.concatenate([np.zeros(0, np.int64), *atoms])],
            offset=np.concatenate(([0], np.cumsum(np.diff(self.offset)[rows]))).astype(np.int64),
            sequence=[self.sequence[row] for row in chosen],
            id=[self.id[row] for row in chosen],
            entry=[self.entry[row] for row in chosen],
            chain=[self.chain[row] for row in chosen],
            cluster=[self.cluster[row] for row in chosen],
            start=self.start[rows],
            cell=self.cell[rows],
            split=self.split,
        )

    def atom_names(self, index: int) -> list[str]:
        """Atom names of one fragment."""
        return residues.atom_names(self.sequence[index])

    @classmethod
    def from_arrow(cls, table: pa.Table, split: Split, n_residues: int) -> FragmentTable:
        """Take rows of the Parquet schema as flat arrays.

        Raises
        ------
        ValueError
            If a sequence does not fit the recipe, atoms do not fit their sequence, or a cell is
            none.
        """
        xyz = table["xyz"].combine_chunks()
        if isinstance(xyz, pa.ChunkedArray):
            xyz = xyz.chunk(0) if xyz.num_chunks else pa.array([], type=SCHEMA.field("xyz").type)
        flat = xyz.flatten().to_numpy(zero_copy_only=False)
        lengths, rest = np.divmod(np.diff(xyz.offsets.to_numpy()), 3)
        if rest.any():
            raise ValueError("some fragment has an atom without three coordinates")
        cell = table["cell"].combine_chunks()
        if isinstance(cell, pa.ChunkedArray):
            cell = pa.concat_arrays(cell.chunks)
        names = ("sequence", "id", "entry", "chain", "cluster")
        strings = {name: table[name].to_pylist() for name in names}
        _check_sequences(strings["sequence"], lengths, n_residues)
        edges = cell.flatten().to_numpy(zero_copy_only=False)
        if not ((edges >= _MIN_EDGE) & (edges <= _MAX_EDGE)).all():  # also false for NaN
            raise ValueError(f"some cell edge is not between {_MIN_EDGE} and {_MAX_EDGE} A")
        return cls(
            xyz=flat.reshape(-1, 3).astype(np.float32) * np.float32(COORDINATE_STEP),
            offset=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            start=table["start"].to_numpy(),
            cell=edges.reshape(-1, 3),
            split=split,
            **strings,
        )


def _codes(sequences: list[str]) -> NDArray[np.uint8]:
    letters = np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8)
    lookup = np.full(128, 255, dtype=np.uint8)
    lookup[np.frombuffer(residues.CODES.encode("ascii"), dtype=np.uint8)] = np.arange(20)
    return lookup[letters].reshape(len(sequences), len(sequences[0]) if sequences else 0)


def _check_sequences(sequences: list[str], n_atoms: NDArray[Any], n_residues: int) -> None:
    text = "".join(sequences)
    if any(len(s) != n_residues for s in sequences) or set(text) - set(residues.CODES):
        raise ValueError(f"some sequence is not {n_residues} of the letters {residues.CODES}")
    expected = residues.N_ATOMS[_codes(sequences)].sum(axis=1)
    if not np.array_equal(expected, n_atoms):
        raise ValueError("some fragment has another number of atoms than its sequence")


@dataclass(frozen=True, eq=False)
class FragmentStore:
    """A data set folder: `manifest` is its ``manifest.json``."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> FragmentStore:
        """Open a data set that `build` has made.

        Raises
        ------
        InputError
            If the folder holds no data set, or a damaged one.
        """
        folder = Path(folder)
        for name in (MANIFEST, FRAGMENTS):
            if not (folder / name).is_file():
                raise InputError(
                    f"{folder}: no {name} inside; expected a folder made by "
                    "`crysformer dataset build`"
                )
        manifest = read_json_object(folder / MANIFEST)
        if str(manifest.get("recipe")) not in RECIPES:
            raise InputError(
                f"{folder / MANIFEST}: names the recipe {shown(manifest.get('recipe'))}, expected "
                f"one of {', '.join(RECIPES)}; build the data set again"
            )
        return cls(folder, manifest)

    def scale(self, name: str) -> float:
        """Scale of the training maps, ``"density"`` (e/A^3) or ``"patterson"`` (e^2/A^3).

        Raises
        ------
        InputError
            If the manifest has none, as for a data set without training fragments.
        """
        try:
            value = self.manifest["scales"][name]["scale"]
            if not 0 < value < math.inf:
                raise ValueError
            return float(value)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(
                f"{self.folder / MANIFEST}: has no scale of the {name} maps; they are known for "
                "data sets with training fragments"
            ) from None

    @property
    def fragments_hash(self) -> str:
        """SHA-256 of the fragments as the manifest has it; empty if it has none."""
        hashes = self.manifest.get("hashes")
        return str(hashes.get(FRAGMENTS, "")) if isinstance(hashes, dict) else ""

    @property
    def recipe(self) -> Recipe:
        """The recipe the fragments were made by."""
        return recipe_by_name(self.manifest["recipe"])

    def table(self, split: Split) -> FragmentTable:
        """Load one split.

        Raises
        ------
        InputError
            If the Parquet file is damaged.
        """
        path = self.folder / FRAGMENTS
        table = read_table(path, SCHEMA, filters=[("split", "=", split)])
        try:
            return FragmentTable.from_arrow(table, split, self.recipe.n_residues)
        except ValueError as error:
            raise InputError(f"{path}: {error}; build the data set again") from error


def read_table(path: Path, schema: pa.Schema, **options: Any) -> pa.Table:
    """Read a Parquet file and check its columns.

    Raises
    ------
    InputError
        If it is damaged, or has other columns.
    """
    try:
        table = pq.read_table(path, **options)
        table.validate(full=True)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable Parquet file ({reason})") from error
    if not table.schema.remove_metadata().equals(schema):
        names = ", ".join(table.schema.names[:20])
        raise InputError(f"{path}: has other columns than it should ({names})")
    for name in schema.names:
        if table[name].null_count:
            raise InputError(f"{path}: has empty cells in the column {name}")
    return table
