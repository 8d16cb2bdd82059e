"""A model as building begins with it: isotropic, without hydrogens, one conformer."""

from __future__ import annotations

import gemmi
import numpy as np

from crysformer.building.model_atoms import is_anisotropic


def plain_model(structure: gemmi.Structure) -> tuple[gemmi.Structure, list[str]]:
    """Copy of a model without hydrogens, anisotropic B, and conformers but one of each residue.

    Of alternative conformers the one with the highest occupancies stays, as the only one.

    Parameters
    ----------
    structure
        The model.

    Returns
    -------
    (structure, lost)
        The copy, and the names of what it lacks.
    """
    copy, lost = structure.clone(), []
    if any(site.atom.altloc != "\0" for site in copy[0].all()):
        lost.append("alternative conformers")
        for chain in copy[0]:
            for residue in chain:
                _keep_main_conformer(residue)
        copy.remove_alternative_conformations()  # residues of several kinds at one place
    if copy[0].has_hydrogen():
        lost.append("hydrogens")
        copy.remove_hydrogens()
    if is_anisotropic(copy):
        lost.append("anisotropic B")
        for site in copy[0].all():
            site.atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    return copy, lost


def _keep_main_conformer(residue: gemmi.Residue) -> None:
    letters = sorted({atom.altloc for atom in residue if atom.altloc != "\0"})
    if not letters:
        return
    means = [np.mean([atom.occ for atom in residue if atom.altloc == x]) for x in letters]
    main = letters[int(np.argmax(means))]
    for i in reversed(range(len(residue))):
        if residue[i].altloc == main:
            residue[i].altloc, residue[i].occ = "\0", 1.0
        elif residue[i].altloc != "\0":
            del residue[i]
