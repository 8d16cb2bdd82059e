"""Exported shards, read one after the other and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from crysformer.data.checksums import is_whole, read_checksums
from crysformer.data.dataset.shard_formats import SHARD_FORMATS, MapExample
from crysformer.data.dataset.shard_list import SHARD_LIST, TEMPLATES, ShardList
from crysformer.data.store import Split
from crysformer.errors import InputError
from crysformer.peptide import residues


class MapShards:
    """Examples of one split of an export, in the order of the files.

    A shard is read whole, and its checksum compared, before its first example is given.
    `shards` is the content of ``shards.json``.

    >>> for example in MapShards("export", "train"):                      # doctest: +SKIP
    ...     network(example.patterson, example.density)

    Parameters
    ----------
    folder
        Folder made by `export_shards`.
    split
        Name of the split.
    part, parts
        Only every `parts`-th file, beginning with number `part`: for several loaders or ranks.

    Raises
    ------
    InputError
        If the folder holds no complete export, or nothing of this split.
    """

    def __init__(self, folder: str | Path, split: Split, part: int = 0, parts: int = 1) -> None:
        self.folder = Path(folder)
        self.shards = ShardList.read(self.folder / SHARD_LIST)
        files = self.shards.files()
        if not files:
            raise InputError(f"{self.folder}: an unfinished export; finish it with `resume`")
        of_split = [shard for shard in files if shard.split == split]
        if not of_split:
            raise InputError(f"{self.folder}: no examples of the split {split}")
        self._chosen = of_split[part::parts]

    def __len__(self) -> int:
        return sum(shard.examples for shard in self._chosen)

    def __iter__(self) -> Iterator[MapExample]:
        decode = SHARD_FORMATS[self.shards.kind].decode
        for shard in self._chosen:
            path = self.folder / shard.file
            try:
                content = path.read_bytes()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            if hashlib.sha256(content).hexdigest() != shard.sha256:
                raise InputError(f"{path}: not the file that was exported (SHA-256 differs)")
            yield from decode(content)

    def partial_structures(self, sequence: str) -> Tensor:
        """Densities of the residues of a sequence, each by itself, divided by the scale.

        Returns
        -------
        Shape (residues, 24, 24, 24), float32, 0.5 A between voxels.

        Raises
        ------
        InputError
            If their file is not the one that was exported.
        """
        return self._residue_maps[torch.from_numpy(residues.encode(sequence).astype(np.int64))]

    @cached_property
    def _residue_maps(self) -> Tensor:
        if not is_whole(self.folder, TEMPLATES, read_checksums(self.folder)):
            raise InputError(
                f"{self.folder / TEMPLATES}: not the file that was exported (SHA-256 differs)"
            )
        maps = safetensors.torch.load_file(self.folder / TEMPLATES)
        return torch.stack([maps[name] for name in residues.NAMES])
