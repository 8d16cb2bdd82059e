"""Test kit: sample data, and builders of small data sets and networks.

For tests of this package and of programs that build on it; pytest is not needed. The structure
files belong to the source repository and are not installed with the package.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import multiprocessing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.data.examples.residue_densities import residue_templates
from crysformer.data.store import COORDINATE_STEP, FRAGMENTS, MANIFEST, SCHEMA
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel
from crysformer.samples import SAMPLES, Sample

_REPOSITORY = Path(__file__).parents[2]

#: Chain of the sample structures without faults: 57 residues, all complete.
SOUND_CHAIN = "1shg_A"


def sample(name: str) -> Sample:
    """Return a sample crystal of the package by its name: "fifteen", "wk", "yf", "gf", "5e5z"."""
    return {sample.name: sample for sample in SAMPLES}[name]


def measured_peptide() -> tuple[CrystalData, PeptideModel]:
    """Read the measured crystal 5E5Z, and its deposited model without waters as of a search."""
    chosen = sample("5e5z")
    data = read_crystal(chosen.data_path)
    structure = gemmi.read_structure(str(chosen.model_path))
    atoms = {
        (i, atom.name): atom
        for i, residue in enumerate(structure[0][0].get_polymer())
        for atom in residue
    }
    peptides = build_peptides((chosen.sequence,))
    listed = [
        atoms[int(i), name.rpartition(".")[-1]]
        for i, name in zip(peptides.residue, peptides.names, strict=True)
    ]
    xyz = np.array([atom.pos.tolist() for atom in listed])
    b_iso = np.array([atom.b_iso for atom in listed])
    F = np.where(data.measured, data.f, np.nan).astype(np.complex128)
    return data, PeptideModel(peptides, xyz, b_iso, data.cell, data.space_group, F)


def structures_folder() -> Path:
    """Return the folder of sample structures, single chains of PDB entries, with an index."""
    return _of_repository("samples/structures")


def fifteen_residue_models() -> list[Path]:
    """Return the PDB files of two fragments of 15 residues in the cells of the recipe."""
    return sorted(_of_repository("tests/samples").glob("*_15mer.pdb"))


def _of_repository(name: str) -> Path:
    folder = _REPOSITORY / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: only in the source repository of crysformer")
    return folder


def sound_chain() -> gemmi.Structure:
    """Read a fresh copy of the structure of `SOUND_CHAIN`."""
    text = gzip.decompress((structures_folder() / f"{SOUND_CHAIN}.pdb.gz").read_bytes())
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    return structure


def fragment_row(
    id: str, sequence: str, xyz: NDArray[np.float64], split: str, start: int = 0
) -> dict[str, Any]:
    """Make a row of a fragment table; entry and cluster are the fragment's own.

    Parameters
    ----------
    id
        Id of the fragment.
    sequence
        One-letter codes.
    xyz
        Coordinates in the order of `residues.ATOMS`, shape (N, 3), A; they are centred.
    split
        "train", "validation" or "test".
    start
        Position of the first residue in its chain.
    """
    steps = np.round((xyz - xyz.mean(axis=0)) / COORDINATE_STEP).astype(np.int16)
    return {
        "id": id,
        "entry": id,
        "chain": "A",
        "start": start,
        "seqid": str(start + 1),
        "cluster": id,
        "split": split,
        "sequence": sequence,
        "cell": [10.0, 8.0, 7.0],
        "xyz": steps.ravel().tolist(),
    }


def write_data_set(folder: Path, recipe: str, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows of a fragment table as a data set with a minimal manifest; return the folder."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), folder / FRAGMENTS)
    digest = hashlib.sha256((folder / FRAGMENTS).read_bytes()).hexdigest()
    manifest = {
        "recipe": recipe,
        "hashes": {FRAGMENTS: digest},
        "scales": {"density": {"scale": 4.0}, "patterson": {"scale": 120.0}},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def conformer_pairs() -> list[dict[str, Any]]:
    """Make 25 pairs of residue conformers side by side, as fragments of all splits.

    Enough crystals to train on without any file; the chemistry is not that of dipeptides.
    """
    coordinates = template_coordinates()
    names = dict(zip(residues.CODES, residues.NAMES, strict=True))
    splits = ("train", "train", "train", "validation", "test")
    rows = []
    for i, (one, two) in enumerate(itertools.product("GASVC", repeat=2)):
        beside = coordinates[names[two]] + np.array([3.8, 0.4 * (i % 5), 0.0])
        xyz = np.concatenate((coordinates[names[one]], beside))
        rows.append(fragment_row(f"test_{i}", one + two, xyz, splits[i % 5]))
    return rows


def model_fragments(length: int) -> list[dict[str, Any]]:
    """Cut the `fifteen_residue_models` into disjoint fragments of the test split."""
    rows = []
    for path in fifteen_residue_models():
        chain = [r for r in gemmi.read_structure(str(path))[0][0] if r.name in residues.INDEX]
        for start in range(0, len(chain) - length + 1, length):
            run = chain[start : start + length]
            atoms = [r[a][0] for r in run for a in residues.ATOMS[residues.INDEX[r.name]]]
            xyz = np.array([atom.pos.tolist() for atom in atoms])
            sequence = gemmi.one_letter_code([r.name for r in run])
            rows.append(fragment_row(f"{path.stem}_{start}", sequence, xyz, "test", start))
    return rows


def tiny_network(**changes: Any) -> CrysFormerConfig:
    """Return the smallest architecture that has all parts, with some settings changed."""
    settings: dict[str, Any] = {
        "width": 24, "depth": 1, "heads": 2, "head_width": 12, "feedforward": 32,
        "partial_patch": 12, "channels": 2, "partial_channels": 1, "kernel": 3,
        "final_channels": 2, "final_blocks": 1, "final_kernel": 3, "dropout": 0.0,
    }  # fmt: skip
    return CrysFormerConfig(**{**settings, **changes})


def random_network(config: CrysFormerConfig, seed: int = 0) -> CrysFormer:
    """Make a network away from its initial state, in which every layer is the identity."""
    torch.manual_seed(seed)
    model = CrysFormer(config, residue_templates()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def random_patterson_maps(n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Make Patterson maps of random densities, dipeptide sequences and cell edges.

    Returns
    -------
    Shapes (n, 1, 16, 12, 8), any scale, (n, 2), indices into `residues.CODES`, and (n, 3), A.
    """
    generator = torch.Generator().manual_seed(7)
    density = torch.rand(n, 16, 12, 8, generator=generator)
    F = torch.fft.rfftn(density - density.mean((1, 2, 3), keepdim=True), dim=(1, 2, 3))
    patterson = torch.fft.irfftn(F.abs().square(), s=(16, 12, 8), dim=(1, 2, 3))[:, None]
    codes = torch.randint(20, (n, 2), generator=generator)
    lengths = torch.tensor([[11.0, 8.5, 5.5]]) + torch.rand(n, 3, generator=generator)
    return patterson / 1000, codes, lengths


#: Values that a reader may not expect where it finds them.
ODD: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**63, -(2**70), 10**400, 0.0, -0.5, 1e308, float("nan"),
    float("inf"), "", "x", "../../x", "nan", "\x00", "é" * 40, [], [[]], [None], [1, "a"], {},
    {"a": {"b": []}}, [0.0] * 3, "a" * 5000,
]  # fmt: skip


class WorkerKiller:
    """A progress report that kills one worker process of this process, once, at its first call."""

    def __init__(self) -> None:
        self.killed = False

    def __call__(self, fraction: float, text: str) -> None:
        """Kill a worker, as something that takes a progress report."""
        if not self.killed:
            self.killed = True
            multiprocessing.active_children()[0].kill()


def damaged_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, remove, repeat or insert bytes, once or several times, or cut the end."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        n = int(rng.integers(1, 17))
        kind = int(rng.integers(6))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + n] = rng.integers(256, size=n, dtype=np.uint8).tobytes()
        elif kind == 2:
            del data[at : at + n]
        elif kind == 3:
            data[at:at] = data[at : at + n]
        elif kind == 4:
            data[at : at + n] = bytes([int(rng.choice([0, 255, 127, 10, 34]))]) * n
        else:
            del data[at:]
    return bytes(data)


def damaged_values(content: Any, rng: np.random.Generator) -> Any:
    """Copy plain values with one replaced, removed, renamed or added, at any depth."""
    copy = json.loads(json.dumps(content))
    places = list(_places(copy))
    holder, key = places[int(rng.integers(len(places)))]
    odd = ODD[int(rng.integers(len(ODD)))]
    kind = int(rng.integers(5))
    if kind <= 2:
        holder[key] = odd
    elif kind == 3:
        del holder[key]
    elif isinstance(holder, dict):
        holder["surplus"] = odd
    else:
        holder.append(odd)
    return copy


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested lists and dictionaries, as holder and key."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        yield values, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
