"""Sequences as people and programs write them: names, formats of files, residues without model."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import gemmi
import pytest

from crysformer.crystal.cell_composition import composition
from crysformer.crystal.matthews import chain_mass
from crysformer.errors import InputError, UsageError
from crysformer.peptide.chain import parse_chain
from crysformer.peptide.modified_residues import (
    _FORMULAS,
    definitions,
    modified_composition,
    modified_name,
)
from crysformer.peptide.sequence_file import (
    Chains,
    read_sequences,
    read_sequences_with_notes,
    sequences_of,
)


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("TRP LYS PHE GLY", ("WKFG",)),
        ("Trp-Lys-Phe-Gly", ("WKFG",)),
        ("TrpLysPheGly", ("WKFG",)),
        ("TRPLYSPHEGLY", ("WKFG",)),
        ("trp lys phe gly", ("WKFG",)),
        ("TRP,LYS,PHE,GLY", ("WKFG",)),
        ("Trp\u2013Lys\u2013Phe", ("WKF",)),
        ("Ac-Trp-Lys-NH2", ("Ac-WK-NH2",)),
        ("H-Trp-Lys-OH", ("WK",)),
        ("D-Trp-Lys-D-Phe", ("(DTR)K(DPN)",)),
        ("Trp-(D-Lys)-Phe", ("W(DLY)F",)),
        ("DTR LYS DPN", ("(DTR)K(DPN)",)),
        ("Trp-Aib-Lys", ("W(AIB)K",)),
        ("pGlu-Trp-Lys", ("(PCA)WK",)),
        ("Trp-Lys, Phe-Gly", ("WK", "FG")),
        ("TRP,LYS", ("WK",)),
        ("Trp Lys X", ("WK(UNK)",)),
    ],
)
def test_three_letter_names(text: str, chains: tuple[str, ...]) -> None:
    reading = read_sequences_with_notes(text)
    assert reading.chains == chains
    assert "read as three-letter names" in reading.notes[0]


@pytest.mark.parametrize("text", ["ALA", "LVH,SSN", "GNN,ALA", "W K F G", "(DAL)LLL(DAL)", "ALAG"])
def test_one_letter_codes_that_resemble_names(text: str) -> None:
    reading = read_sequences_with_notes(text)
    assert "".join(reading.chains) == text.replace(" ", "").replace(",", "")
    assert reading.notes == ()


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("TRP LYS QQW", "QQW"),
        ("trp lys qqw", "QQW"),
        ("Trp-Lys-Qqw-NH2", "QQW"),
        ("Ac-Qqw-Lys-Trp", "QQW"),
        ("TrpLysQqw", "QQW"),
        ("TRP,LYS,QQW", "QQW"),
        ("TRP QQW ZZQ", "QQW, ZZQ"),
        ("TRP LYS PH", "PH"),
        ("TRP LYS F", "F"),
        ("D-Qqw-Trp", "QQW"),
    ],
)
def test_an_unknown_name_among_three_letter_names_is_refused(text: str, unknown: str) -> None:
    with pytest.raises(UsageError, match=f"{unknown} among three-letter names") as refusal:
        read_sequences(text)
    assert "\n" not in str(refusal.value)


def test_short_last_line_of_one_letter_codes_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\n" + "WKFG" * 15 + "\nALA\n")
    assert read_sequences(tmp_path / "a.fa") == ("WKFG" * 15 + "ALA",)


def test_chains_are_read_once() -> None:
    """A chain that could be names as well, once read as letters, stays letters."""
    chains = read_sequences("A L A A L A")
    assert chains == ("ALAALA",)
    assert sequences_of(chains) == ("ALAALA",)


@pytest.mark.parametrize(
    ("content", "chains"),
    [
        (b">a\nTRP LYS PHE\nGLY\n", ("WKFG",)),
        (b">a\nWKFG*\n", ("WKFG",)),
        (b">a\nWK\nFG\n*\n>b\nFG*", ("WKFG", "FG")),
        (b"\xef\xbb\xbf>a\r\nWKFG\r\n", ("WKFG",)),
        ("\ufeff>a\nWKFG\n".encode("utf-16-le"), ("WKFG",)),
        ("\ufeff>a\nWKFG\n".encode("utf-16-be"), ("WKFG",)),
        ("\ufeff\ufeff>a\nWKFG\n".encode(), ("WKFG",)),
        (b">peptide \xe0 la carte\nWKFG\n", ("WKFG",)),
        (b">P1;CODE\na synthetic peptide, *\nWKFG*\n", ("WKFG",)),
        (b">P1;x\nstructureX:x:1:A:4:A::::\nWK/FG*\n", ("WK", "FG")),
        (b">a\n        1 WKF GWK\n        7 FG\n", ("WKFGWKFG",)),
        (b">a\rWKFG\r", ("WKFG",)),
        (b">a\nWKFG\x1a", ("WKFG",)),
        (gzip.compress(b">a\nWKFG\n", mtime=0), ("WKFG",)),
        (
            b"HEADER    MADE UP\nSEQRES   1 A    3  TRP LYS PHE\nSEQRES   1 B    2  GLY AIB\n",
            ("WKF", "G(AIB)"),
        ),
    ],
)
def test_files(tmp_path: Path, content: bytes, chains: tuple[str, ...]) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(content)
    assert read_sequences(path) == chains


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as a FASTA file"):
        read_sequences(path)


def test_pipes_and_names_that_are_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(">a\nWKFG\n",))
    writer.start()
    assert read_sequences(pipe) == ("WKFG",)
    writer.join()
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.fa"))
    odd.write_text("WKFG")
    assert read_sequences(odd) == ("WKFG",)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"WKFG")))
    assert read_sequences("-") == ("WKFG",)


@pytest.mark.parametrize("text", ["WkFG", "wKFG", "Ac-WKfG-NH2"])
def test_small_letters_among_capitals_are_said_to_be_l_residues(text: str) -> None:
    reading = read_sequences_with_notes(text)
    assert parse_chain(reading.chains[0]).d_residues == frozenset()
    assert "counts as L, as capitals do" in reading.notes[0]


@pytest.mark.parametrize("text", ["WKFG", "wkfg", "Ac-WKFG-NH2", "ac-wkfg", "W(D-Lys)FG"])
def test_nothing_is_said_of_one_case(text: str) -> None:
    assert read_sequences_with_notes(text).notes == ()


@pytest.mark.parametrize(
    ("text", "chain", "atoms"),
    [
        ("GXG", "G(UNK)G", {"C": 8, "N": 3, "O": 4}),
        ("G(BAL)G", "G(BAL)G", {"C": 7, "N": 3, "O": 4}),
        ("G(D-MLE)G", "G(D-MLE)G", {"C": 11, "N": 3, "O": 4}),
        ("GBZJ", "G(ASX)(GLX)(XLE)", {"C": 17, "N": 6, "O": 7}),
    ],
)
def test_residues_without_a_model_are_counted(text: str, chain: str, atoms: dict[str, int]) -> None:
    reading = read_sequences_with_notes(text)
    assert reading.chains == (chain,)
    assert parse_chain(chain).letters.count("X") == len(parse_chain(chain).unmodelled) > 0
    assert composition(chain) == atoms
    assert "without a model" in reading.notes[0]


@pytest.mark.parametrize(
    ("text", "chain", "atoms"),
    [
        ("G(AIB)G", "G(AIB)G", {"C": 8, "N": 3, "O": 4}),
        ("G(Nle)G", "G(NLE)G", {"C": 10, "N": 3, "O": 4}),
        ("G(SEP)G", "G(SEP)G", {"C": 7, "N": 3, "O": 8, "P": 1}),
        ("GUG", "G(SEC)G", {"C": 7, "N": 3, "O": 4, "Se": 1}),
    ],
)
def test_residues_with_a_definition_are_modelled(
    text: str, chain: str, atoms: dict[str, int]
) -> None:
    reading = read_sequences_with_notes(text)
    assert reading.chains == Chains((chain,))
    assert len(reading.notes) == ("U" in text)
    assert all("read U as selenocysteine (SEC)" in note for note in reading.notes)
    assert parse_chain(chain).unmodelled == ()
    assert composition(chain) == atoms


def test_compositions_equal_gemmis_masses() -> None:
    """Heavy atoms of a free amino acid weigh what is left of its mass without hydrogens."""
    compared = 0
    for name in {*_FORMULAS, *definitions()} - {"ASX", "GLX"}:  # of these gemmi has a mean
        residue = gemmi.find_tabulated_residue(name)
        if residue.found():
            mass = residue.weight - residue.hydrogen_count * gemmi.Element("H").weight
            atoms = {**modified_composition(name)}
            atoms["O"] += 1
            found = sum(n * gemmi.Element(element).weight for element, n in atoms.items())
            assert found == pytest.approx(mass, abs=0.05), name
            compared += 1
    assert compared > 25


def test_mass_of_a_chain_with_an_unknown_residue_is_near_that_of_the_residue() -> None:
    mass = chain_mass("G(ABA)G") - chain_mass("GG")
    assert mass == pytest.approx(gemmi.find_tabulated_residue("ABA").weight - 18.015, abs=2)
    assert modified_name("nothing") is None


@pytest.mark.parametrize("text", ["G(QQQ)G", "(DZZ)", "G?G"])
def test_message_on_unknown_residues_says_that_the_sequence_is_optional(text: str) -> None:
    with pytest.raises(UsageError, match="may also be left out"):
        read_sequences(text)
