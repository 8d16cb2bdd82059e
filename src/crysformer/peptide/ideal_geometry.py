"""Ideal bond lengths and angles of peptides (Engh & Huber, International Tables F, 18.3)."""

from __future__ import annotations

import math
from typing import Final

# Bond lengths, A.
N_CA: Final = 1.458
CA_C: Final = 1.525
CA_CB: Final = 1.532
C_N: Final = 1.329
C_O: Final = 1.231
C_OXT: Final = 1.250
PROLINE_CD_N: Final = 1.473
ACETYL_C_CH3: Final = 1.511
N_METHYL: Final = 1.465  # of tertiary amides in small molecules
#: From CB of any residue to the next C, O or S of the side chain.
SIDE_CHAIN_BONDS: Final = (1.525, 1.425, 1.81)

# Bond angles, degrees.
N_CA_C: Final = 111.2
N_CA_CB: Final = 110.4
C_CA_CB: Final = 110.1
CA_C_N: Final = 116.2
C_N_CA: Final = 121.7
CA_C_O: Final = 120.8
CA_C_OXT: Final = 117.0
ACETYL_N_C_O: Final = 123.0
CA_N_METHYL: Final = 117.5
O_C_N: Final = 123.0

#: Torsion angle phi of L-proline, degrees; its ring holds it.
PROLINE_PHI: Final = -65.0

#: Volume (N - CA) . ((C - CA) x (CB - CA)) of an L residue, A^3 (2.5 to 2.7 in deposited models).
CHIRAL_VOLUME: Final = 2.6

#: Shortest and longest distance between bonded atoms other than hydrogen, A.
BONDED: Final = (1.05, 1.95)


def distance_across(first: float, second: float, angle: float) -> float:
    """Distance of two atoms bonded to a third one, A (bond lengths, A; their angle, degrees)."""
    cosine = math.cos(math.radians(angle))
    return math.sqrt(first**2 + second**2 - 2 * first * second * cosine)
