"""Crystals that nobody can solve, to count how often a method says that it did.

Random amplitudes have no structure: any claim about them is false. A wrong sequence, 4.0 A or half
an amplitude of error leave the true structure in, and a claim is false if the phases are wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.regimes.grid import Control, GridCell
from crysformer.peptide import residues

#: Reflections of about the same resolution among which amplitudes are shuffled or drawn.
_SHELL = 25
#: A wrong residue is one of so many of about the right size: it must fit into the cell.
_ALIKE = 4

CONTROLS: tuple[GridCell, ...] = (
    *(GridCell(n, "tight", control="shuffled") for n in (2, 5)),
    GridCell(15, "rich", control="shuffled"),
    GridCell(2, "tight", amplitude_error=0.1, completeness=0.8, control="shuffled"),
    GridCell(2, "tight", d_min=2.5, control="shuffled"),
    *(GridCell(n, "tight", control="wilson") for n in (2, 5)),
    GridCell(15, "rich", control="wilson"),
    # fine enough for the fragment search
    *(GridCell(8, "tight", d_min=1.0, control=kind) for kind in ("shuffled", "wilson")),
    GridCell(2, "tight", control="wrong-sequence"),
    GridCell(2, "tight", d_min=2.0, amplitude_error=0.1, control="wrong-sequence"),
    GridCell(5, "tight", d_min=2.0, control="wrong-sequence"),
    GridCell(8, "tight", d_min=4.0),
    GridCell(15, "rich", d_min=4.0),
    GridCell(2, "tight", amplitude_error=0.5),
    GridCell(15, "rich", d_min=2.0, amplitude_error=0.5),
)
"""The control cells: random amplitudes, wrong sequences, and crystals beyond any method."""


def has_truth(control: Control) -> bool:
    """Whether the amplitudes still belong to a structure, so that a claim may be right."""
    return control not in ("shuffled", "wilson")


def impose_control(
    crystal: SyntheticCrystal, control: Control, rng: np.random.Generator
) -> SyntheticCrystal:
    """Make a crystal unsolvable in the stated way; empty leaves it as it is."""
    if control == "shuffled":
        return replace(crystal, data=shuffled_within_shells(crystal.data, rng))
    if control == "wilson":
        return replace(crystal, data=wilson_random(crystal.data, rng))
    if control == "wrong-sequence":
        return replace(crystal, sequence=wrong_sequence(crystal.sequence, rng))
    return crystal


def shuffled_within_shells(data: CrystalData, rng: np.random.Generator) -> CrystalData:
    """The same amplitudes on other reflections of about the same resolution: no structure."""
    f, sigf = data.f.copy(), None if data.sigf is None else data.sigf.copy()
    for shell in _shells(data):
        other = rng.permutation(shell)
        f[shell] = data.f[other]
        if sigf is not None and data.sigf is not None:
            sigf[shell] = data.sigf[other]
    return replace(data, f=f, sigf=sigf)


def wilson_random(data: CrystalData, rng: np.random.Generator) -> CrystalData:
    """Amplitudes of acentric Wilson statistics with the mean intensities of the shells.

    SIGF keeps its ratio to F, reflection by reflection.
    """
    f = data.f.copy()
    for shell in _shells(data):
        f[shell] = np.sqrt(rng.exponential((data.f[shell] ** 2).mean(), len(shell)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(data.f > 0, f / data.f, 1.0)
    return replace(data, f=f, sigf=None if data.sigf is None else data.sigf * ratio)


def wrong_sequence(sequence: str, rng: np.random.Generator) -> str:
    """Another sequence, every residue replaced by one of the `_ALIKE` nearest to it in size."""
    return "".join(
        letter if letter == "," else str(rng.choice(_alike(letter))) for letter in sequence
    )


def _alike(letter: str) -> list[str]:
    atoms = dict(zip(residues.CODES, residues.N_ATOMS.tolist(), strict=True))
    others = [code for code in residues.CODES if code != letter]
    return sorted(others, key=lambda code: abs(atoms[code] - atoms[letter]))[:_ALIKE]


def _shells(data: CrystalData) -> list[NDArray[np.int64]]:
    order = np.argsort(data.d)
    order = order[data.measured[order]]
    return np.array_split(order, max(1, len(order) // _SHELL))
