"""Sequences as text and in FASTA files."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.errors import InputError, UsageError
from crysformer.peptide.sequence_file import (
    read_sequences,
    read_sequences_with_notes,
    sequences_of,
)


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("GNNQQNY", ("GNNQQNY",)),
        ("gnnqqny", ("GNNQQNY",)),
        ("LVH,SSN", ("LVH", "SSN")),
        (" LVH , SSN ", ("LVH", "SSN")),
        ("A(MSE)G", ("AMG",)),
        ("A" * 5000, ("A" * 5000,)),
    ],
)
def test_codes(text: str, chains: tuple[str, ...]) -> None:
    assert read_sequences(text) == chains
    assert sequences_of(text) == chains


def test_chains_given_one_by_one_are_checked_too() -> None:
    assert sequences_of(None) == ()
    assert sequences_of(["lvh", "SSN,A(MSE)G"]) == ("LVH", "SSN", "AMG")
    with pytest.raises(UsageError, match="unknown letter '1'"):
        sequences_of(("LVH", "S1N"))


@pytest.mark.parametrize(
    ("content", "chains"),
    [
        (">one\nLVH\nSSN\n", ("LVHSSN",)),
        (">one\nLVH\n>two\nssn\n\n", ("LVH", "SSN")),
        (">one\r\nLV H\r\nSSN\r\n", ("LVHSSN",)),
        ("; a comment\nLVH\nSSN\n", ("LVHSSN",)),
        ("LVH,SSN\n", ("LVH", "SSN")),
    ],
)
def test_fasta(tmp_path: Path, content: str, chains: tuple[str, ...]) -> None:
    path = tmp_path / "x.fasta"
    path.write_bytes(content.encode())
    assert read_sequences(path) == chains
    assert read_sequences(str(path)) == chains


@pytest.mark.parametrize("letter", [*"*-1(?", "é"])
def test_unknown_letter_is_named_with_its_position(letter: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_sequences(f"GNN{letter}QNY")
    assert f"unknown letter {letter!r} at position 4" in str(caught.value)
    path = tmp_path / "x.fa"
    path.write_text(f">one\nGNNQ\n>two\nGNN{letter}QNY\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_sequences(path)
    assert f"{path}: chain two: unknown letter {letter!r} at position 4" in str(caught.value)


@pytest.mark.parametrize("text", ["", ",", "AG,", "  "])
def test_empty_chain(text: str) -> None:
    with pytest.raises(UsageError, match="an empty chain"):
        read_sequences(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_sequences(tmp_path / "no.fasta")
    with pytest.raises(InputError, match="no such file"):
        read_sequences("no.fasta")
    with pytest.raises(InputError, match="is a folder"):
        read_sequences(tmp_path)
    (tmp_path / "empty.fa").write_text("")
    with pytest.raises(InputError, match="is empty"):
        read_sequences(tmp_path / "empty.fa")
    (tmp_path / "header.fa").write_text(">one\n")
    with pytest.raises(InputError, match="an empty chain"):
        read_sequences(tmp_path / "header.fa")
    (tmp_path / "binary.fa").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as a FASTA file"):
        read_sequences(tmp_path / "binary.fa")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cyclo-(LMF", "an incomplete ring; expected cyclo-(...), with both brackets"),
        ("cyclo-LMF", "an incomplete ring; expected cyclo-(...)"),
        ("cyclo-(G)", "a ring of 1 residue; expected two residues or more"),
        ("(DLeu)G", "unknown residue (DLeu) at position 1"),
    ],
)
def test_messages_name_what_was_typed_once(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_sequences(text)
    assert words in str(caught.value)
    assert str(caught.value).count(text) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [("hello", {"PYL"}), ("GUO", {"SEC", "PYL"}), ("GLY", set()), ("(SEC)G", set())],
)
def test_letters_u_and_o_are_said(text: str, names: set[str]) -> None:
    said = " ".join(read_sequences_with_notes(text).notes)
    assert {name for name in ("SEC", "PYL") if f"({name})" in said} == names
