"""Monomer dictionaries, with the restraints of each residue, and where they are found."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gemmi

from crysformer.building.components.ideal_restraints import ideal_restraints
from crysformer.errors import InputError
from crysformer.file_content import read_content
from crysformer.peptide.component import Component, component_of
from crysformer.peptide.modified_residues import definitions

#: Files of a monomer library without which servalcat cannot use it.
_NEEDED: Final = ("ener_lib.cif", "list/mon_lib_list.cif")
_COOT_PACKAGE: Final = "coot_headless_api"
#: The library within that package.
_IN_PACKAGE: Final = Path("share", "coot", "lib", "data", "monomers")
#: Name of residues in a dictionary that this package makes.
_MADE: Final = "restraints from ideal coordinates of the component"


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
    components
        Definitions of components, by name, those in files given by the user before others:
        restraints are made from them where no dictionary has any.
    notes
        What was found unusable, a sentence each.
    """

    library: Path | None
    origin: str
    files: tuple[Path, ...] = ()
    monomers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    components: Mapping[str, Component] = field(default_factory=dict)

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the residues `names` that neither dictionary nor component describes, sorted."""
        return tuple(n for n in self.without_dictionary(names) if n not in self.components)

    def made(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the residues `names` whose restraints are made from a component, sorted."""
        return tuple(n for n in self.without_dictionary(names) if n in self.components)

    def without_dictionary(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the residues `names` that no dictionary describes, sorted."""
        unknown = sorted(set(names) - self.monomers)
        return tuple(name for name in unknown if self._in_library(name) is None)

    def restraints(self, name: str) -> gemmi.ChemComp | None:
        """Restraints of a residue: of a file, of the library, or made from its component.

        Returns
        -------
        gemmi.ChemComp or None
            None if there are none.
        """
        library = self._in_library(name)
        for file in (*self.files, *([] if library is None else [library])):
            block = _block_of(gemmi.cif.read(str(file)), name)
            if block is not None:
                return gemmi.make_chemcomp_from_block(block)
        component = self.components.get(name)
        return None if component is None else ideal_restraints(component)

    def library_of(self, names: Iterable[str]) -> gemmi.MonLib:
        """Restraints of some residues as gemmi's library; of those that have any."""
        found = [monomer for name in names if (monomer := self.restraints(name)) is not None]
        library = gemmi.MonLib()
        if found:
            library.read_monomer_doc(gemmi.cif.read_string(dictionary_text(found)))
        return library

    def made_dictionary(self, names: Iterable[str]) -> str:
        """Text of a monomer dictionary with the restraints that are made; empty if there are none.

        Parameters
        ----------
        names
            Residues of the model.
        """
        made = self.made(names)
        return dictionary_text([ideal_restraints(self.components[name]) for name in made])

    def _in_library(self, name: str) -> Path | None:
        """File of a residue in the library."""
        if self.library is None:
            return None
        files = (self.library / x / f"{name}.cif" for x in (name[:1].lower(), name[:1]))
        return next((file for file in files if file.is_file()), None)


def dictionary_text(monomers: Sequence[gemmi.ChemComp]) -> str:
    """Restraints as a monomer dictionary in CIF; empty without any."""
    if not monomers:
        return ""
    document = gemmi.cif.Document()
    listed = document.add_new_block("comp_list").init_loop(
        "_chem_comp.", ["id", "three_letter_code", "name", "group"]
    )
    for monomer in monomers:
        group = monomer.group_str(monomer.group)
        listed.add_row([monomer.name, monomer.name, f"'{_MADE}'", gemmi.cif.quote(group)])
        gemmi.add_chemcomp_to_block(
            monomer, document.add_new_block(f"comp_{monomer.name}"), [], False
        )
    return str(document.as_string())


def find_dictionaries(
    files: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
    beside: Path | None = None,
) -> Dictionaries:
    """Find monomer dictionaries: those given, then ``$CLIBD_MON``, then the library of Coot.

    Definitions of components (wwPDB Chemical Component Dictionary) come last, those among the
    files, then those of `crysformer.peptide.modified_residues`: restraints are made from them.

    That library is a part of the package coot-headless-api, which is looked up by its path and
    never imported.

    Parameters
    ----------
    files
        Dictionaries or component definitions of residues, in CIF.
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
    given: list[Path] = []
    monomers: frozenset[str] = frozenset()
    components: dict[str, Component] = {}
    for file in map(Path, files):
        names, defined = _described(file)
        given += [file] if names else []
        monomers |= frozenset(names)
        components = {**defined, **components}
    components = {**definitions(), **components}
    notes = []
    stated = environment.get("CLIBD_MON")
    if stated:
        folder = Path(stated)
        lacking = [name for name in _NEEDED if not (folder / name).is_file()]
        if not lacking:
            return Dictionaries(folder, "$CLIBD_MON", tuple(given), monomers, components=components)
        notes.append(f"CLIBD_MON={stated} is not used: it lacks {' and '.join(lacking)}")
    for package in _coot_packages(beside):
        folder = package / _IN_PACKAGE
        if all((folder / name).is_file() for name in _NEEDED):
            origin = "the library of coot-headless-api"
            return Dictionaries(folder, origin, tuple(given), monomers, tuple(notes), components)
    return Dictionaries(None, "none", tuple(given), monomers, tuple(notes), components)


def describes_residues(content: str) -> bool:
    """Whether text in CIF has restraints or component definitions, as a model file may."""
    try:
        names, components = _contents(gemmi.cif.read_string(content))
    except (RuntimeError, ValueError):  # a PDB file
        return False
    return bool(names or components)


def _described(file: Path) -> tuple[list[str], dict[str, Component]]:
    """Names of the residues whose restraints a file has, and the components that it defines."""
    return _contents(read_dictionary(file))


def read_dictionary(file: str | Path) -> gemmi.cif.Document:
    """Read a monomer dictionary or component definitions.

    Raises
    ------
    InputError
        If the file cannot be read or describes no residue.
    """
    content = read_content(file, "a monomer dictionary in CIF")
    try:
        document = gemmi.cif.read_string(content.decode("utf-8", errors="replace"))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read as a monomer dictionary ({reason})") from error
    if not any(_contents(document)):
        raise InputError(
            f"{file}: holds no restraints (no _chem_comp_atom.atom_id with "
            "_chem_comp_bond.value_dist) and no component with coordinates and bonds; expected a "
            "monomer dictionary as AceDRG, grade or CCP4 write it, or a component of the wwPDB's "
            "Chemical Component Dictionary"
        )
    return document


def _contents(document: gemmi.cif.Document) -> tuple[list[str], dict[str, Component]]:
    names: list[str] = []
    components: dict[str, Component] = {}
    for block in document:
        if not block.find_values("_chem_comp_atom.atom_id"):
            continue
        if block.find_values("_chem_comp_bond.value_dist"):
            names.append(block.name.removeprefix("comp_"))
        elif (component := component_of(block)) is not None:
            components[component.name] = component
    return names, components


def _block_of(document: gemmi.cif.Document, name: str) -> gemmi.cif.Block | None:
    """The block with the restraints of a residue."""
    for block in document:
        of = block.name.removeprefix("comp_") == name
        if of and block.find_values("_chem_comp_bond.value_dist"):
            return block
    return None


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
