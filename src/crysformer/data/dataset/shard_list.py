"""Description of exported shards: the content of ``shards.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crysformer.data.dataset.shard_formats import SHARD_FORMATS
from crysformer.data.store import Split
from crysformer.errors import InputError
from crysformer.schema import read_json_object, record

SHARD_LIST: Final = "shards.json"
#: Standalone densities of the twenty residues, the partial structures of every example.
TEMPLATES: Final = "residue_maps.safetensors"
FORMAT: Final = 1


@dataclass(frozen=True)
class ShardFile:
    """One shard: file name, split, number of examples, size (bytes) and SHA-256."""

    file: str
    split: Split
    examples: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        inside = Path(self.file).name == self.file and self.file not in ("", "..")
        if not inside or "\0" in self.file:
            raise ValueError(f"file {self.file!r} is not in the folder")


@dataclass(frozen=True)
class ShardList:
    """Content of ``shards.json``.

    Attributes
    ----------
    kind
        Format of the shards, a key of `SHARD_FORMATS`.
    recipe
        Name of the recipe.
    source
        SHA-256 of the data set's ``fragments.parquet``; empty if its manifest has none.
    seed, subset, splits, shard_mib
        As given to `export_shards`.
    d_min
        Resolution of the maps, A.
    scales
        What maps were divided by: ``density`` in e/A^3, ``patterson`` in e^2/A^3.
    units
        Meaning, unit and shape of the values of an example.
    shards
        The shards as plain values (see `ShardFile`); empty while the export is not finished.
    format
        Version of this layout.
    """

    kind: str
    recipe: str
    source: str
    seed: int
    subset: int | None
    splits: list[str]
    shard_mib: int
    d_min: float
    scales: dict[str, float]
    units: dict[str, str]
    shards: list[dict[str, Any]] = field(default_factory=list)
    format: int = FORMAT

    @classmethod
    def read(cls, path: Path) -> ShardList:
        """Read what `export_shards` wrote.

        Raises
        ------
        InputError
            If it is missing, damaged, or of another version.
        """
        try:
            found = record(cls, read_json_object(path))
            found.files()
        except ValueError as error:
            raise InputError(f"{path}: not a list of shards ({error})") from error
        if found.format != FORMAT or found.kind not in SHARD_FORMATS:
            raise InputError(
                f"{path}: format {found.format} of {found.kind!r}, this version reads {FORMAT}"
            )
        return found

    def files(self) -> list[ShardFile]:
        """The shards in order.

        Raises
        ------
        ValueError
            If their description is damaged.
        """
        return [record(ShardFile, values) for values in self.shards]


UNITS: Final = {
    "patterson": "Patterson map (U, V, W), divided by scales.patterson, e^2/A^3; F(000) absent",
    "density": "electron density (U, V, W), divided by scales.density, e/A^3; F(000) absent",
    "lengths": "cell edges (3,), A; angles 90 degrees; voxel (i, j, k) is at (i/U, j/V, k/W)",
    "sequence": "one-letter codes",
    "id": "entry, chain, and position of the first residue",
}
