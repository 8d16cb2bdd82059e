"""Files damaged at random: read, or refused in one line, in bounded time and memory."""

from __future__ import annotations

import functools
import gzip
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.io.crystal_list import read_list
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.report import data_report
from crysformer.data.dataset.curate import Curator
from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.dataset.splits import Splitter
from crysformer.data.recipe import RECIPES
from crysformer.errors import CrysformerError, InputError
from crysformer.peptide.sequence_file import read_sequences
from crysformer.testing import sound_chain

CELL = gemmi.UnitCell(8.1, 9.4, 17.3, 90, 101.5, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")
INS = "TITL x\nCELL 0.71 8.1 9.4 17.3 90 101.5 90\nLATT -1\nSYMM -X,0.5+Y,-Z\nHKLF 4\nEND\n"
#: What one damaged file may take: seconds, and bytes beyond what the process has at the start.
SECONDS, BYTES = 20.0, 1.5e9
#: Pieces that are put into texts: what numbers, quotes and long fields can do.
PIECES = (
    "nan", "inf", "-1e308", "1e400", "-2147483648", "99999999999", "****", "?", ".", "'", '"',
    "\n;\n", "loop_\n", "data_\n", "\t", "\0", "\x1a", "é", "_refln.index_h ", "0 0 0", "-", ",",
    "=", "(", "A" * 3000, " " * 500,
)  # fmt: skip
#: Mutations of each format: in the default run, and with --run-slow.
FEW, MANY = 200, 10_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Times of the process are those of the work, not of threads that wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def reflections() -> tuple[np.ndarray, np.ndarray]:
    hkl = gemmi.make_miller_array(CELL, GROUP, 2.5)
    return hkl, np.round(np.random.default_rng(4).exponential(300, len(hkl)) + 20, 2)


@functools.cache
def mtz() -> bytes:
    hkl, i = reflections()
    made = gemmi.Mtz(with_base=True)
    made.spacegroup = GROUP
    made.set_cell_for_all(CELL)
    for label, kind in (("F", "F"), ("SIGF", "Q"), ("FREE", "I")):
        made.add_column(label, kind)
    free = np.arange(len(i)) % 20
    made.set_data(np.column_stack([hkl, np.sqrt(i), np.sqrt(i) / 20, free]).astype(np.float32))
    return bytes(made.write_to_bytes())


def rows(form: str) -> list[str]:
    hkl, i = reflections()
    return [
        form.format(h=h, k=k, l=l, i=value, s=value / 20)
        for (h, k, l), value in zip(hkl.tolist(), i.tolist(), strict=True)  # noqa: E741
    ]


@functools.cache
def sf_cif() -> bytes:
    tags = ("index_h", "index_k", "index_l", "intensity_meas", "intensity_sigma", "status")
    head = ["data_x", "_cell.length_a 8.1", "_cell.length_b 9.4", "_cell.length_c 17.3"]
    head += ["_cell.angle_alpha 90", "_cell.angle_beta 101.5", "_cell.angle_gamma 90"]
    head += ["_symmetry.space_group_name_H-M 'P 1 21 1'", "loop_", *(f"_refln.{t}" for t in tags)]
    return "\n".join([*head, *rows("{h} {k} {l} {i:.2f} {s:.2f} o")]).encode()


@functools.cache
def shelx() -> bytes:
    return "\n".join(rows("{h:4d}{k:4d}{l:4d}{i:8.2f}{s:8.2f}")).encode()


@functools.cache
def xds() -> bytes:
    head = ["!FORMAT=XDS_ASCII    MERGE=TRUE    FRIEDEL'S_LAW=TRUE", "!SPACE_GROUP_NUMBER=    4"]
    head += ["!UNIT_CELL_CONSTANTS=     8.100     9.400    17.300  90.000 101.500  90.000"]
    head += ["!NUMBER_OF_ITEMS_IN_EACH_DATA_RECORD=5", "!ITEM_H=1", "!ITEM_K=2", "!ITEM_L=3"]
    head += ["!ITEM_IOBS=4", "!ITEM_SIGMA(IOBS)=5", "!END_OF_HEADER"]
    lines = rows("{h:6d}{k:6d}{l:6d}{i:11.3E}{s:11.3E}")
    return "\n".join([*head, *lines, "!END_OF_DATA\n"]).encode()


@functools.cache
def scalepack() -> bytes:
    head = ["    1", " -985", "     8.100     9.400    17.300    90.000   101.500    90.000 p21"]
    return "\n".join([*head, *rows("{h:4d}{k:4d}{l:4d}{i:8.1f}{s:8.1f}")]).encode()


def fasta() -> bytes:
    return (
        b">one\nAc-GNNQ(D-Ala)QNY-NH2\n>P1;two\ndescribed\nTRP LYS (AIB) GLY*\n>three\nLVHSSN,GG\n"
    )


def crystal_list() -> bytes:
    head = b"data\tsequence\tcopies\tname\n"
    return head + b"a.mtz\tGNNQQNY\t2\tone\nb-sf.cif\tLVH,SSN\t\t\nc.hkl\t\t1\tx\n"


@functools.cache
def pdb() -> bytes:
    return sound_chain().make_pdb_string().encode()


@functools.cache
def mmcif() -> bytes:
    return sound_chain().make_mmcif_document().as_string().encode()


def read_and_report(path: Path) -> None:
    data_report(read_crystal(path))


def curate(path: Path) -> None:
    recipe = RECIPES["dipeptide"]
    curator = Curator(recipe, EntryIndex({}), Splitter([], 0), strict=False)
    _, tally = curator.curate([StructureFile(path.name, path.read_bytes())])
    if tally.problems:
        raise InputError(tally.problems[0]["reason"])


def read_hkl(path: Path) -> None:
    read_crystal(path, cell=CELL, space_group=GROUP)


FORMATS: dict[str, tuple[Callable[[], bytes], str, Callable[[Path], object]]] = {
    "mtz": (mtz, "x.mtz", read_and_report),
    "sf-mmcif": (sf_cif, "x.cif", read_and_report),
    "shelx": (shelx, "x.hkl", read_hkl),
    "instructions": (
        lambda: INS.encode(),
        "x.ins",
        lambda path: read_crystal(path.with_suffix(".hkl")),
    ),
    "xds": (xds, "x.hkl", read_crystal),
    "scalepack": (scalepack, "x.sca", read_crystal),
    "fasta": (fasta, "x.fa", read_sequences),
    "list": (crystal_list, "x.tsv", read_list),
    "pdb": (pdb, "x.pdb", curate),
    "mmcif": (mmcif, "x.cif", curate),
}


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in one to three ways: bytes, pieces put in, lines, a cut, compression."""
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        kind, at = rng.integers(7), int(rng.integers(len(content)))
        if kind == 0:
            content = (
                content[:at] + bytes(rng.integers(0, 256, 1 + at % 4).tolist()) + content[at + 1 :]
            )
        elif kind == 1:
            piece = PIECES[rng.integers(len(PIECES))].encode()
            content = content[:at] + piece + content[at + len(piece) * int(rng.integers(2)) :]
        elif kind == 2:
            lines = content.split(b"\n")
            i, j = rng.integers(len(lines), size=2)
            lines[i] = lines[j] if rng.integers(2) else b""
            content = b"\n".join(lines)
        elif kind == 3:
            content = content[:at]
        elif kind == 4:  # a number in the text becomes another one
            words = content.split(b" ")
            words[rng.integers(len(words))] = PIECES[rng.integers(6)].encode()
            content = b" ".join(words)
        elif kind == 5:
            word = int(at // 4 * 4)
            wild = np.array(rng.choice([np.nan, np.inf, 1e30, -5e3, 2.5, -(2.0**31)]), dtype="<f4")
            content = content[:word] + wild.tobytes() + content[word + 4 :]
        else:
            packed = gzip.compress(content, 1)
            content = packed[: max(1, len(packed) - int(rng.integers(2)) * (at % 99))]
    return content


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def check(folder: Path, name: str, seed: int) -> bool:
    """One mutation: True if it was read, False if it was refused in one line."""
    make, file, read = FORMATS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    path = folder / file
    path.write_bytes(mutated(make(), rng))
    before, began = memory(), time.process_time()
    refusal = ""
    try:
        read(path)
    except CrysformerError as error:
        refusal = str(error)
    except Exception as error:
        raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}") from error
    assert "\n" not in refusal, f"{name}, seed {seed}: {refusal}"
    assert len(refusal) < 1000, f"{name}, seed {seed}: {refusal}"
    assert time.process_time() - began < SECONDS, f"{name}, seed {seed}: slow"
    assert memory() - before < BYTES, f"{name}, seed {seed}: memory"
    return not refusal


def prepare(folder: Path, name: str) -> None:
    if name == "instructions":
        (folder / "x.hkl").write_bytes(shelx())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_few(tmp_path: Path, name: str) -> None:
    prepare(tmp_path, name)
    fine = [check(tmp_path, name, seed) for seed in range(FEW)]
    assert any(fine)  # not everything is refused
    assert not all(fine)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", FORMATS)
def test_many(tmp_path: Path, name: str) -> None:
    prepare(tmp_path, name)
    for seed in range(FEW, MANY):
        check(tmp_path, name, seed)
