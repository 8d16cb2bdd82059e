"""Control crystals that cannot be solved, to count false claims of a method.

Random amplitudes have no structure: any claim about them is false. With a wrong sequence, at 4.0 A
or with 50 % error the amplitudes belong to a structure, and a claim is false if the phases are
wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.regimes.grid import Condition, Control
from crysformer.peptide import residues

#: Reflections of about the same resolution among which amplitudes are shuffled or drawn.
_SHELL = 25
#: Number of residues nearest in size among which a wrong one is drawn: it must fit into the cell.
_ALIKE = 4

CONTROLS: tuple[Condition, ...] = (
    *(Condition(n, "tight", control="shuffled") for n in (2, 5)),
    Condition(15, "rich", control="shuffled"),
    Condition(2, "tight", DataQuality(amplitude_error=0.1, completeness=0.8), control="shuffled"),
    Condition(2, "tight", DataQuality(d_min=2.5), control="shuffled"),
    *(Condition(n, "tight", control="wilson") for n in (2, 5)),
    Condition(15, "rich", control="wilson"),
    # fine enough for the fragment search
    *(
        Condition(8, "tight", DataQuality(d_min=1.0), control=kind)
        for kind in ("shuffled", "wilson")
    ),
    Condition(2, "tight", control="wrong-sequence"),
    Condition(2, "tight", DataQuality(d_min=2.0, amplitude_error=0.1), control="wrong-sequence"),
    Condition(5, "tight", DataQuality(d_min=2.0), control="wrong-sequence"),
    Condition(8, "tight", DataQuality(d_min=4.0)),
    Condition(15, "rich", DataQuality(d_min=4.0)),
    Condition(2, "tight", DataQuality(amplitude_error=0.5)),
    Condition(15, "rich", DataQuality(d_min=2.0, amplitude_error=0.5)),
)
"""Control conditions: random amplitudes, wrong sequences, and hopeless data."""


def has_truth(control: Control) -> bool:
    """True if the amplitudes still belong to a structure, so that a claim may be right."""
    return control not in ("shuffled", "wilson")


def impose_control(
    crystal: SyntheticCrystal, control: Control, rng: np.random.Generator
) -> SyntheticCrystal:
    """Make a crystal unsolvable in the way named by `control`; empty leaves it unchanged."""
    if control == "shuffled":
        return replace(crystal, data=shuffled_within_shells(crystal.data, rng))
    if control == "wilson":
        return replace(crystal, data=wilson_random(crystal.data, rng))
    if control == "wrong-sequence":
        return replace(crystal, sequence=wrong_sequence(crystal.sequence, rng))
    return crystal


def shuffled_within_shells(data: CrystalData, rng: np.random.Generator) -> CrystalData:
    """Shuffle amplitudes among reflections of about the same resolution."""
    f, sigf = data.f.copy(), None if data.sigf is None else data.sigf.copy()
    for shell in _shells(data):
        other = rng.permutation(shell)
        f[shell] = data.f[other]
        if sigf is not None and data.sigf is not None:
            sigf[shell] = data.sigf[other]
    return replace(data, f=f, sigf=sigf)


def wilson_random(data: CrystalData, rng: np.random.Generator) -> CrystalData:
    """Draw amplitudes from acentric Wilson statistics with the mean intensities of the shells.

    SIGF keeps its ratio to F, reflection by reflection.
    """
    f = data.f.copy()
    for shell in _shells(data):
        f[shell] = np.sqrt(rng.exponential((data.f[shell] ** 2).mean(), len(shell)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(data.f > 0, f / data.f, 1.0)
    return replace(data, f=f, sigf=None if data.sigf is None else data.sigf * ratio)


def wrong_sequence(sequence: str, rng: np.random.Generator) -> str:
    """Replace every residue by one of the `_ALIKE` nearest to it in size."""
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
