"""Library of two-strand ladders from deposited chains, and how much of others it covers.

    python benchmarks/ladders.py FOLDER --index TSV -o src/crysformer/phasing/fragments/ladders.json

FOLDER holds coordinate files or archives of them, one chain a file, and TSV their resolutions,
sequences and clusters of 30 % identity (columns id, pdb_id, resolution, sequence, cluster_30). One
chain of each cluster is read, from entries to `--d-min` that the data set with this index uses for
training, and none that has six residues in a row, up to one exchange, in common with a sequence of
`--leave-out`: the crystals that the library is measured on, and their relatives.

A ladder is two runs of N residues (`--residues`) without a break whose CA atoms are 3.8 to 6.2 A
apart in pairs, with two hydrogen bonds or more between them (N to O less than 3.3 A). Of each
residue N, CA, C, O are taken as deposited and CB in ideal geometry, as poly-alanine. Ladders are
compared by the rms distance of all atoms after superposition, in either order of the strands. Of
`--pool` ladders drawn at random the one with the most others within `--radius` comes first, then
the one with the most of those that remain, and so on (greedy cover). Prints how many of
`--held-out` others are covered by the first 1, 2, 4, 8 ... of the library.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.sources import StructureFile, find_sources, read_sources
from crysformer.data.dataset.splits import Splitter
from crysformer.files import write_bytes
from crysformer.phasing.fragments.ladders import ATOMS

MIN_PAIR, MAX_PAIR = 3.8, 6.2  # A, between CA atoms of a pair
MAX_BOND, MIN_BONDS = 3.3, 2  # A, N to O; hydrogen bonds of a ladder
MAX_PEPTIDE = 1.6  # A, C to N of the next residue
# CB from the vectors CA - N, C - CA and their product, in ideal geometry
CB = (0.56802827, -0.54067466, -0.58273431)
RUN, EXCHANGES = 6, 1  # residues in a row, and exchanges among them, that make a relative

Array = NDArray[np.float64]


class Ladder(NamedTuple):
    """A ladder in a chain: file, first residues of the strands, coordinates (2, n, 5, 3), A."""

    source: str
    first: tuple[str, str]
    xyz: Array


def main() -> None:
    """Write the library."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--index", required=True, metavar="TSV")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="JSON")
    parser.add_argument("--residues", type=int, default=3, metavar="N")
    parser.add_argument("--parallel", action="store_true", help="parallel strands")
    parser.add_argument("--number", type=int, default=40, metavar="N", help="ladders to write")
    parser.add_argument("--radius", type=float, default=0.5, metavar="A")
    parser.add_argument("--d-min", type=float, default=1.7, metavar="A")
    parser.add_argument("--pool", type=int, default=4000, metavar="N")
    parser.add_argument("--held-out", type=int, default=500, metavar="N")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="SEQUENCE")
    args = parser.parse_args()
    found: list[Ladder] = []
    n_chains = 0
    for file in chosen(args.folder, args.index, args.d_min, args.leave_out):
        n_chains += 1
        found += ladders_of(file, args.residues, args.parallel)
    order = np.random.default_rng(0).permutation(len(found))
    drawn = [found[i] for i in order[: args.held_out + args.pool]]
    held_out, pool = drawn[: args.held_out], drawn[args.held_out :]
    chosen_ladders, counts = cover(pool, args.radius, args.number)
    print(f"{len(found)} ladders in {n_chains} chains")
    nearest = np.full(len(held_out), np.inf)
    for i, ladder in enumerate(chosen_ladders, 1):
        nearest = np.minimum(nearest, distances(centred(held_out), ladder.xyz))
        if i & (i - 1) == 0 or i == len(chosen_ladders):
            within = " ".join(f"{(nearest < r).mean():.2f} within {r} A," for r in (0.4, 0.5, 0.6))
            print(f"{i} cover {within} median {np.median(nearest):.2f} A")
    rows = [
        {
            "source": ladder.source,
            "strands": ladder.first,
            "fraction": round(count / len(pool), 4),
            "xyz": np.round(ladder.xyz - ladder.xyz.mean(axis=(0, 1, 2)), 2).tolist(),
        }
        for ladder, count in zip(chosen_ladders, counts, strict=True)
    ]
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    head = {
        "source": "wwPDB coordinates (CC0 1.0), by benchmarks/ladders.py; CB in ideal geometry",
        "direction": "parallel" if args.parallel else "antiparallel",
        "atoms": list(ATOMS),
    }
    text = json.dumps(head, indent=1).removesuffix("\n}")
    write_bytes(args.output, f'{text},\n "ladders": [\n{lines}\n ]\n}}\n'.encode())


def chosen(folder: str, index: str, d_min: float, leave_out: list[str]) -> Iterator[StructureFile]:
    """One chain of each cluster, from entries for training and no relatives of `leave_out`."""
    table = EntryIndex.read(index)
    with open(index, encoding="utf-8", newline="") as lines:
        sequences = {row["id"]: row["sequence"] for row in csv.DictReader(lines, delimiter="\t")}
    named = [(table.of_file(stem).name, [sequence]) for stem, sequence in sequences.items()]
    splitter = Splitter(table.entries(), 0, named)
    clusters: set[str] = set()
    for file in read_sources(find_sources([folder])):
        entry = table.of_file(file.stem)
        if (
            file.content is None
            or entry.cluster is None
            or entry.cluster in clusters
            or entry.resolution is None
            or entry.resolution > d_min
            or splitter.split(entry.name) != "train"
            or any(related(sequences[file.stem], other) for other in leave_out)
        ):
            continue
        clusters.add(entry.cluster)
        yield file


def related(one: str, other: str) -> bool:
    """Test if two sequences share a run of residues, up to an exchange."""
    a, b = (np.array(list(letters)) for letters in (one, other))
    if min(len(a), len(b)) < RUN:
        return False
    runs = [np.lib.stride_tricks.sliding_window_view(x, RUN) for x in (a, b)]
    same = (runs[0][:, None] == runs[1]).sum(axis=-1)
    return bool((same >= RUN - EXCHANGES).any())


def ladders_of(file: StructureFile, n: int, parallel: bool) -> list[Ladder]:
    """Ladders of n residues in each strand in the first chain of a file."""
    assert file.content is not None
    structure = gemmi.read_structure_string(file.content.decode("utf-8", "replace"))
    residues = list(structure[0][0].first_conformer())
    xyz = np.array([backbone(residue) for residue in residues])
    if len(xyz) < 2 * n + 1:
        return []
    broken = ~(np.linalg.norm(xyz[1:, 0] - xyz[:-1, 2], axis=1) < MAX_PEPTIDE)
    run = np.array([not broken[i : i + n - 1].any() for i in range(len(xyz) - n + 1)])
    gap = np.linalg.norm(xyz[:, None, 1] - xyz[:, 1], axis=-1)
    pair = (gap > MIN_PAIR) & (gap < MAX_PAIR)
    bond = np.linalg.norm(xyz[:, None, 0] - xyz[:, 3], axis=-1) < MAX_BOND
    bond |= bond.T
    m = len(run)
    beside = run[:, None] & run
    for i in range(n):
        j = i if parallel else n - 1 - i
        beside &= pair[i : i + m, j : j + m]
    found = []
    for a, b in np.argwhere(np.triu(beside, n + 1)):
        one, other = slice(a, a + n), slice(b, b + n)
        if bond[one, other].sum() >= MIN_BONDS:
            name = (f"{residues[a].seqid}", f"{residues[b].seqid}")
            found.append(Ladder(file.stem, name, np.stack((xyz[one], xyz[other]))))
    return found


def backbone(residue: gemmi.Residue) -> Array:
    """N, CA, C and O of a residue, and CB in ideal geometry, (5, 3), A; NaN if one is missing."""
    atoms = {atom.name: atom.pos.tolist() for atom in residue}
    if not {"N", "CA", "C", "O"} <= atoms.keys():
        return np.full((5, 3), np.nan)
    n, ca, c, o = (np.array(atoms[name]) for name in ("N", "CA", "C", "O"))
    along, out, across = CB
    cb = ca + along * (ca - n) + out * (c - ca) + across * np.cross(ca - n, c - ca)
    return np.stack((n, ca, c, o, cb))


def cover(pool: list[Ladder], radius: float, number: int) -> tuple[list[Ladder], list[int]]:
    """Greedy cover of a pool: ladders, and how many not covered before each covers."""
    xyz = centred(pool)
    near = np.stack([distances(xyz, ladder.xyz) < radius for ladder in pool])
    left = np.ones(len(pool), dtype=bool)
    chosen_ladders, counts = list[Ladder](), list[int]()
    while left.any() and len(chosen_ladders) < number:
        best = int((near & left).sum(axis=1).argmax())
        chosen_ladders.append(pool[best])
        counts.append(int((near[best] & left).sum()))
        left &= ~near[best]
    return chosen_ladders, counts


def centred(ladders: list[Ladder]) -> Array:
    """Coordinates about their centroids, (m, 2, n, 5, 3), A."""
    xyz = np.array([ladder.xyz for ladder in ladders])
    return np.asarray(xyz - xyz.mean(axis=(1, 2, 3), keepdims=True))


def distances(several: Array, one: Array) -> Array:
    """Rms distances (m,), A, after superposition, in the better order of the strands."""
    one = one - one.mean(axis=(0, 1, 2))
    n_atoms = one.size // 3
    squares = (several**2).sum(axis=(1, 2, 3, 4)) + (one**2).sum()
    best = np.full(len(several), np.inf)
    for strands in (one, one[::-1]):
        covariance = np.einsum("mskai,skaj->mij", several, strands)
        u, s, v = np.linalg.svd(covariance)
        s[:, 2] *= np.sign(np.linalg.det(u @ v))  # superposition without inversion
        best = np.minimum(best, squares - 2 * s.sum(axis=1))
    return np.asarray(np.sqrt(np.maximum(best, 0.0) / n_atoms))


if __name__ == "__main__":
    main()
