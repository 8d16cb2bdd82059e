"""Torsion angles against gemmi, and angles that no deposited model has."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.validation.conformers import conformers
from crysformer.building.validation.residue_topology import chi_atoms
from crysformer.building.validation.settings import ValidationSettings
from crysformer.building.validation.torsion_angles import (
    TorsionScore,
    peptide_bonds,
    ramachandran,
    rotamers,
)
from crysformer.building.validation.torsion_density import (
    ramachandran_densities,
    rotamer_densities,
)
from crysformer.peptide.residues import D_NAME_OF, NAME_OF

SETTINGS = ValidationSettings()


def turned(
    structure: gemmi.Structure, axis: tuple[gemmi.Atom, gemmi.Atom], atoms: list[gemmi.Atom]
) -> None:
    """Turn atoms of a structure by 180 degrees about an axis through two atoms."""
    origin = np.array(axis[0].pos.tolist())
    along = np.array(axis[1].pos.tolist()) - origin
    along /= np.linalg.norm(along)
    for atom in atoms:
        arm = np.array(atom.pos.tolist()) - origin
        moved = origin + 2 * (arm @ along) * along - arm
        atom.pos = gemmi.Position(*moved)


def by_residue(scores: list[TorsionScore]) -> dict[str, TorsionScore]:
    return {score.site.residue: score for score in scores}


def test_phi_psi_and_omega_are_those_of_gemmi(deposited_2ol9: gemmi.Structure) -> None:
    chain = deposited_2ol9[0]["A"].get_polymer()
    found = list(conformers(deposited_2ol9[0]))
    scores = ramachandran(found, SETTINGS)
    assert len(scores) == len(chain) - 2
    for i, score in enumerate(scores, start=1):
        expected = gemmi.calculate_phi_psi(chain[i - 1], chain[i], chain[i + 1])
        assert score.angles == pytest.approx(np.degrees(expected), abs=1e-4)
    for i, bond in enumerate(peptide_bonds(found, SETTINGS)):
        omega = math.degrees(gemmi.calculate_omega(chain[i], chain[i + 1]))
        assert bond.omega == pytest.approx(omega, abs=1e-4)
        assert not bond.cis
        assert not bond.twisted


def test_a_flipped_peptide_is_found(helix: gemmi.Structure) -> None:
    before = by_residue(ramachandran(list(conformers(helix[0])), SETTINGS))
    assert {score.verdict for score in before.values()} == {"favoured"}
    flipped = helix.clone()
    chain = flipped[0][0]
    first, second = chain[9], chain[10]
    ends = first["CA"][0], second["CA"][0]
    turned(flipped, ends, [first["C"][0], first["O"][0], second["N"][0]])
    after = by_residue(ramachandran(list(conformers(flipped[0])), SETTINGS))
    changed = {name for name in after if after[name].score < 0.2 * before[name].score}
    assert changed == {"10", "11"}
    assert "outlier" in {after["10"].verdict, after["11"].verdict}


def test_a_cis_and_a_twisted_peptide_are_found(helix: gemmi.Structure) -> None:
    broken = helix.clone()
    chain = broken[0][0]
    # everything after residue 8 turned about its C-N bond
    rest = [atom for residue in list(chain)[8:] for atom in residue]
    turned(broken, (chain[7]["C"][0], chain[8]["N"][0]), rest)
    bonds = {
        bond.site.residue: bond for bond in peptide_bonds(list(conformers(broken[0])), SETTINGS)
    }
    assert [name for name, bond in bonds.items() if bond.cis] == ["8"]
    strict = ValidationSettings(omega_deviation=1.0)
    assert any(bond.twisted for bond in peptide_bonds(list(conformers(helix[0])), strict))


def test_a_side_chain_between_rotamers_is_found(helix: gemmi.Structure) -> None:
    before = by_residue(rotamers(list(conformers(helix[0])), SETTINGS))
    assert before["13"].kind == "THR"
    assert before["13"].verdict == "favoured"
    eclipsed = helix.clone()
    residue = eclipsed[0][0][12]
    axis = np.array(residue["CB"][0].pos.tolist()) - residue["CA"][0].pos.tolist()
    axis /= np.linalg.norm(axis)
    origin = np.array(residue["CA"][0].pos.tolist())
    angle = math.radians(-60)
    for name in ("OG1", "CG2"):
        arm = np.array(residue[name][0].pos.tolist()) - origin
        part = (arm @ axis) * axis
        moved = part + math.cos(angle) * (arm - part) + math.sin(angle) * np.cross(axis, arm)
        residue[name][0].pos = gemmi.Position(*(origin + moved))
    after = by_residue(rotamers(list(conformers(eclipsed[0])), SETTINGS))
    assert after["13"].verdict == "outlier"
    assert after["12"] == before["12"]


def test_mirror_images_of_d_residues_have_the_scores_of_l_residues(helix: gemmi.Structure) -> None:
    mirrored = helix.clone()
    names = {NAME_OF[letter]: D_NAME_OF[letter] for letter in D_NAME_OF}
    for chain in mirrored[0]:
        for residue in chain:
            residue.name = names.get(residue.name, residue.name)
            for atom in residue:
                atom.pos = gemmi.Position(-atom.pos.x, atom.pos.y, atom.pos.z)
    for scores in (ramachandran, rotamers):
        plain = scores(list(conformers(helix[0])), SETTINGS)
        other = scores(list(conformers(mirrored[0])), SETTINGS)
        assert [s.kind for s in other] == [s.kind for s in plain]
        assert [s.score for s in other] == pytest.approx([s.score for s in plain], abs=1e-6)
        assert other[0].angles == pytest.approx([-a for a in plain[0].angles])


@pytest.mark.parametrize(
    ("name", "atoms"),
    [
        ("THR", ("N", "CA", "CB", "OG1")),
        ("VAL", ("N", "CA", "CB", "CG1")),
        ("ILE", ("CA", "CB", "CG1", "CD1")),
        ("HIS", ("CA", "CB", "CG", "ND1")),
        ("ASN", ("CA", "CB", "CG", "OD1")),
        ("TRP", ("CA", "CB", "CG", "CD1")),
        ("ARG", ("CG", "CD", "NE", "CZ")),
    ],
)
def test_chi_is_defined_as_by_iupac(name: str, atoms: tuple[str, ...]) -> None:
    assert atoms in chi_atoms(name)


def test_glycine_is_symmetric_and_other_residues_are_left_handed() -> None:
    densities = ramachandran_densities()
    left, right = np.array([[-62.0, -42.0]]), np.array([[62.0, 42.0]])
    assert densities["glycine"].score(left)[0] > 0.3
    assert densities["glycine"].score(right)[0] > 0.3
    assert densities["general"].score(left)[0] > 0.8
    assert densities["general"].score(right)[0] < 0.1
    assert densities["isoleucine or valine"].score(right)[0] < 0.01
    # proline's ring holds phi, and a residue before it is no helix's
    assert densities["trans proline"].score(np.array([[-130.0, 150.0]]))[0] < 0.01
    for kind in ("general", "before proline"):
        assert densities[kind].score(np.array([[60.0, -60.0]]))[0] < 0.002


@pytest.mark.parametrize(
    ("name", "region", "fraction"),
    # The rotamer library of Lovell et al., Proteins 40, 389 (2000): percentages of its observations
    # (such as 1931 of valine's t), as Coot's copy of the table has them
    # (ligand/richardson-rotamers.cc).
    [
        ("VAL", ((120, 240),), 0.73),
        ("VAL", ((240, 360),), 0.20),
        ("LEU", ((240, 360), (120, 240)), 0.59),
        ("LEU", ((120, 240), (0, 120)), 0.29),
        ("ILE", ((240, 360), (120, 240)), 0.60),
        ("PHE", ((240, 360), (60, 150)), 0.44),
        ("PHE", ((120, 240), (30, 150)), 0.33),
        ("TYR", ((240, 360), (60, 150)), 0.43),
        ("TYR", ((120, 240), (30, 150)), 0.34),
        ("CYS", ((240, 360),), 0.50),
        ("CYS", ((0, 120),), 0.23),
        ("SER", ((0, 120),), 0.48),
        ("THR", ((0, 120),), 0.49),
        ("THR", ((240, 360),), 0.43),
    ],
)
def test_rotamers_are_as_frequent_as_in_the_penultimate_library(
    name: str, region: tuple[tuple[int, int], ...], fraction: float
) -> None:
    density = rotamer_densities()[name]
    axes = [np.arange(-180.0, -180.0 + period, 2.0) for period in density.periods]
    angles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    weight = np.exp(density.log_density(angles))
    inside = np.ones(len(angles), dtype=bool)
    for k, (low, high) in enumerate(region):
        period = density.periods[k]
        inside &= (angles[:, k] - low) % period < high - low
    assert weight[inside].sum() / weight.sum() == pytest.approx(fraction, abs=0.09)


def test_tables_hold_the_fractions_that_they_state() -> None:
    for density in (*ramachandran_densities().values(), *rotamer_densities().values()):
        assert (np.diff(density.levels) >= 0).all()
        angles = np.random.default_rng(0).uniform(-180, 180, (500, len(density.periods)))
        score = density.score(angles)
        assert (score >= 0).all()
        assert (score <= 1).all()
        turn = np.array(density.periods)
        assert density.score(angles + turn) == pytest.approx(score)


def test_models_at_high_resolution_are_favoured_and_one_at_3_angstrom_is_not(
    shared_dir: Path,
) -> None:
    def verdicts(name: str) -> tuple[Counter[str], Counter[str]]:
        structure = gemmi.read_structure(str(shared_dir / "deposited" / name))
        found = list(conformers(structure[0]))
        plot, sides = ramachandran(found, SETTINGS), rotamers(found, SETTINGS)
        return Counter(s.verdict for s in plot), Counter(s.verdict for s in sides)

    plot, sides = Counter[str](), Counter[str]()
    for name in ("1t2i.pdb.gz", "2qsk.pdb.gz", "1ejg.pdb.gz", "3u7t.cif.gz", "2igd.cif.gz"):
        of_plot, of_sides = verdicts(name)
        plot, sides = plot + of_plot, sides + of_sides
    assert plot["favoured"] / plot.total() > 0.97
    assert plot["outlier"] / plot.total() < 0.005
    assert sides["outlier"] / sides.total() < 0.02
    plot, sides = verdicts("1tf6.pdb.gz")  # 3.1 A
    assert plot["favoured"] / plot.total() < 0.8
    assert sides["outlier"] / sides.total() > 0.1
