"""Ideal fragments of secondary structure against the geometry of helices and strands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.peptide.secondary_structure import Fragment, ideal_fragment


def alpha_carbons(fragment: Fragment) -> NDArray[np.float64]:
    """Every fifth atom from the second: N CA C O CB."""
    return fragment.xyz[1::5]


def test_a_helix_rises_as_helices_do() -> None:
    ca = alpha_carbons(ideal_fragment("helix", 12))
    assert np.linalg.norm(ca[1:] - ca[:-1], axis=1) == pytest.approx(3.8, abs=0.05)
    assert np.linalg.norm(ca[3:] - ca[:-3], axis=1) == pytest.approx(5.1, abs=0.4)
    # 18 residues are five turns of 5.4 A
    assert np.linalg.norm(ca[11] - ca[0]) == pytest.approx(11 * 1.5, abs=1.0)
    # right-handed: the torsion of four alpha carbons is near +50 degrees
    one, two, three = ca[1] - ca[0], ca[2] - ca[1], ca[3] - ca[2]
    assert np.dot(np.cross(one, two), three) > 0


def test_a_strand_is_stretched() -> None:
    ca = alpha_carbons(ideal_fragment("strand", 6))
    assert np.linalg.norm(ca[2:] - ca[:-2], axis=1) == pytest.approx(6.6, abs=0.4)
