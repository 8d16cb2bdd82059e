"""Monomer dictionaries, with the restraints of each residue, and where they are found."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gemmi

from crysformer.errors import InputError
from crysformer.file_content import read_content

#: Files of a monomer library without which servalcat cannot use it.
_NEEDED: Final = ("ener_lib.cif", "list/mon_lib_list.cif")
_COOT_PACKAGE: Final = "coot_headless_api"
#: The library within that package.
_IN_PACKAGE: Final = Path("share", "coot", "lib", "data", "monomers")


@dataclass(frozen=True)
class Dictionaries:
    """Monomer dictionaries that refinement may use.

    Attributes
    ----------
    library
        Folder of a monomer library (laid out as that of CCP4), or None if there is none.
    origin
        Where the library was found, in words.
    files
        Dictionaries given by the user; they count before the library.
    monomers
        Names of the residues in those files.
    notes
        What was found unusable, a sentence each.
    """

    library: Path | None
    origin: str
    files: tuple[Path, ...] = ()
    monomers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the residues `names` that no dictionary describes, sorted."""
        unknown = sorted(set(names) - self.monomers)
        return tuple(name for name in unknown if not self._in_library(name))

    def _in_library(self, name: str) -> bool:
        if self.library is None:
            return False
        return any(
            (self.library / letter / f"{name}.cif").is_file()
            for letter in (name[:1].lower(), name[:1])
        )


def find_dictionaries(
    files: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
    beside: Path | None = None,
) -> Dictionaries:
    """Find monomer dictionaries: those given, then ``$CLIBD_MON``, then the library of Coot.

    That library is a part of the package coot-headless-api, which is looked up by its path and
    never imported.

    Parameters
    ----------
    files
        Dictionaries of single residues, in CIF.
    environment
        Environment variables; those of this process by default.
    beside
        A program whose own Python environment is searched as well.

    Raises
    ------
    InputError
        If a file cannot be read or describes no residue.
    """
    environment = os.environ if environment is None else environment
    given = [Path(file) for file in files]
    monomers = frozenset(name for file in given for name in _described(file))
    notes = []
    stated = environment.get("CLIBD_MON")
    if stated:
        folder = Path(stated)
        lacking = [name for name in _NEEDED if not (folder / name).is_file()]
        if not lacking:
            return Dictionaries(folder, "$CLIBD_MON", tuple(given), monomers)
        notes.append(f"CLIBD_MON={stated} is not used: it lacks {' and '.join(lacking)}")
    for package in _coot_packages(beside):
        folder = package / _IN_PACKAGE
        if all((folder / name).is_file() for name in _NEEDED):
            origin = "the library of coot-headless-api"
            return Dictionaries(folder, origin, tuple(given), monomers, tuple(notes))
    return Dictionaries(None, "none", tuple(given), monomers, tuple(notes))


def _described(file: Path) -> list[str]:
    """Names of the residues that a dictionary describes."""
    content = read_content(file, "a monomer dictionary in CIF")
    try:
        document = gemmi.cif.read_string(content.decode("utf-8", errors="replace"))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read as a monomer dictionary ({reason})") from error
    names = [
        block.name.removeprefix("comp_")
        for block in document
        if block.name != "comp_list" and block.find_values("_chem_comp_atom.atom_id")
    ]
    bonds = any(block.find_values("_chem_comp_bond.value_dist") for block in document)
    if not names or not bonds:
        raise InputError(
            f"{file}: holds no restraints (no _chem_comp_atom.atom_id with "
            "_chem_comp_bond.value_dist); expected a monomer dictionary as AceDRG, grade or CCP4 "
            "write it"
        )
    return names


def _coot_packages(beside: Path | None) -> list[Path]:
    """Folders of coot-headless-api: of this interpreter, then of a program's environment."""
    found = []
    spec = importlib.util.find_spec(_COOT_PACKAGE)  # of a package without parent: not imported
    if spec is not None and spec.submodule_search_locations:
        found += [Path(place) for place in spec.submodule_search_locations]
    if beside is not None:
        environment = beside.resolve().parent.parent
        for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
            found += [place / _COOT_PACKAGE for place in sorted(environment.glob(pattern))]
    return found
