"""Choice of the program that refines a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi

from crysformer.building.dictionaries import find_dictionaries
from crysformer.building.model_atoms import residue_letter, residue_names
from crysformer.building.refinement.own import OwnRefinement
from crysformer.building.refinement.refiner import Refiner
from crysformer.building.refinement.servalcat import Servalcat, find_servalcat
from crysformer.errors import InputError

_CONSEQUENCE = "refined with built-in restraints instead: isotropic B, no hydrogens"
_WITHOUT_RESTRAINTS = ("HOH", "ACE", "NH2")


def choose_refiner(
    structure: gemmi.Structure, files: Sequence[str | Path] = ()
) -> tuple[Refiner, tuple[str, ...]]:
    """Servalcat where it and the dictionaries of all residues are installed, else our own.

    Parameters
    ----------
    structure
        The model.
    files
        Monomer dictionaries and component definitions given by the user.

    Returns
    -------
    (refiner, notes)
        Notes say why servalcat is not used, and which library it uses.

    Raises
    ------
    InputError
        If a residue has neither a dictionary nor built-in restraints, or a file cannot be used.
    """
    path = find_servalcat()
    dictionaries = find_dictionaries(files, beside=path)
    names = residue_names(structure)
    notes = list(dictionaries.notes)
    missing = dictionaries.missing(names)
    unknown = [name for name in missing if not _built_in(name)]
    if unknown:
        where = "no monomer library was found"
        if dictionaries.library is not None:
            where = f"{dictionaries.origin} has none, nor have the built-in restraints"
        raise InputError(
            f"residue {', '.join(unknown)}: no monomer dictionary ({where}); pass one, or its "
            "component of the wwPDB's Chemical Component Dictionary, with `dictionary`, or set "
            "CLIBD_MON to a monomer library that has it"
        )
    by_servalcat = path is not None and dictionaries.library is not None and not missing
    made = [n for n in dictionaries.made(names) if by_servalcat or not _built_in(n)]
    if made:
        notes.append(
            f"residue {', '.join(made)}: no monomer dictionary; restraints made from the "
            "coordinates of the component (standard deviations by element and bond order, torsions "
            "free)"
        )
    own = OwnRefinement(dictionaries)
    if path is None:
        notes.append(
            f"servalcat is not installed (pip install 'crysformer[build]'); {_CONSEQUENCE}"
        )
        return own, tuple(notes)
    if dictionaries.library is None:
        notes.append(
            "servalcat has no monomer library (set CLIBD_MON, or pip install coot-headless-api); "
            + _CONSEQUENCE
        )
        return own, tuple(notes)
    if missing:
        notes.append(
            f"residue {', '.join(missing)}: {dictionaries.origin} has no dictionary; {_CONSEQUENCE}"
        )
        return own, tuple(notes)
    notes.append(f"restraints of {dictionaries.origin}")
    return Servalcat(path, dictionaries), tuple(notes)


def _built_in(name: str) -> bool:
    return residue_letter(name) is not None or name in _WITHOUT_RESTRAINTS
