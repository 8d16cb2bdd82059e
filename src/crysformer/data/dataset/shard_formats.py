"""Examples as the bytes of one shard, and back: PyTorch, safetensors, WebDataset.

All three hold the same values, and the same examples give the same bytes.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

#: Name of the one entry of metadata in a safetensors file: several come in no fixed order.
_METADATA: Final = "examples"
_SAFE: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, eq=False)
class MapExample:
    """One example of a shard, divided by the scales of the data set.

    Attributes
    ----------
    id
        Its id in the data set.
    sequence
        One-letter codes.
    lengths
        Cell edges, shape (3,), A; all angles are 90 degrees.
    patterson, density
        Maps, shape (U, V, W), float32, F(000) absent: in units of the scale of the Patterson maps
        (e^2/A^3) and of the densities (e/A^3).
    """

    id: str
    sequence: str
    lengths: Tensor
    patterson: Tensor
    density: Tensor


def _to_pt(examples: Sequence[MapExample]) -> bytes:
    content = {
        "id": [e.id for e in examples],
        "sequence": [e.sequence for e in examples],
        "lengths": torch.stack([e.lengths for e in examples]),
        "patterson": [e.patterson.clone() for e in examples],  # a slice is saved with all its batch
        "density": [e.density.clone() for e in examples],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _from_pt(content: bytes) -> Iterator[MapExample]:
    read = torch.load(io.BytesIO(content), weights_only=True)
    names = ("id", "sequence", "lengths", "patterson", "density")
    for values in zip(*(read[name] for name in names), strict=True):
        yield MapExample(*values)


def _to_safetensors(examples: Sequence[MapExample]) -> bytes:
    tensors: dict[str, Tensor] = {}
    for i, example in enumerate(examples):
        tensors[f"{i:06d}.patterson"] = example.patterson.contiguous()
        tensors[f"{i:06d}.density"] = example.density.contiguous()
    tensors["lengths"] = torch.stack([e.lengths for e in examples])
    described = [{"id": e.id, "sequence": e.sequence} for e in examples]
    return safetensors.torch.save(tensors, {_METADATA: json.dumps(described)})


def _from_safetensors(content: bytes) -> Iterator[MapExample]:
    size = int.from_bytes(content[:8], "little")
    described = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_METADATA])
    tensors = safetensors.torch.load(content)
    for i, values in enumerate(described):
        yield MapExample(
            values["id"],
            values["sequence"],
            tensors["lengths"][i],
            tensors[f"{i:06d}.patterson"],
            tensors[f"{i:06d}.density"],
        )


def _to_tar(examples: Sequence[MapExample]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, example in enumerate(examples):
            # Names up to the first dot are the key of a sample; ids may hold anything.
            key = f"{number:06d}_{_SAFE.sub('-', example.id)[:60]}"
            described = {
                "id": example.id,
                "sequence": example.sequence,
                "lengths": example.lengths.tolist(),
            }
            _add(archive, f"{key}.json", json.dumps(described).encode())
            _add(archive, f"{key}.patterson.npy", _npy(example.patterson))
            _add(archive, f"{key}.density.npy", _npy(example.density))
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # no date and no owner: the same bytes every time
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _npy(tensor: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, tensor.numpy(), allow_pickle=False)
    return buffer.getvalue()


def _from_tar(content: bytes) -> Iterator[MapExample]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        sample: dict[str, Any] = {}
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None  # members are files
            ending = member.name.split(".", 1)[1]
            if ending == "json":
                sample = json.loads(file.read())
                continue
            array = np.load(io.BytesIO(file.read()), allow_pickle=False)
            sample[ending.removesuffix(".npy")] = torch.from_numpy(array)
            if ending == "density.npy":
                sample["lengths"] = torch.tensor(sample["lengths"], dtype=torch.float32)
                yield MapExample(**sample)


@dataclass(frozen=True)
class ShardFormat:
    """A format: the ending of its files, and both ways of conversion."""

    ending: str
    encode: Callable[[Sequence[MapExample]], bytes]
    decode: Callable[[bytes], Iterator[MapExample]]


SHARD_FORMATS: Final = {
    "pt": ShardFormat(".pt", _to_pt, _from_pt),
    "safetensors": ShardFormat(".safetensors", _to_safetensors, _from_safetensors),
    "webdataset": ShardFormat(".tar", _to_tar, _from_tar),
}
