import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.tracing.growing import beta_of, continuations
from crysformer.building.tracing.peptide_units import CA, NEXT_CA, C, N, O, peptide_unit
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.rotatable_bonds import dihedral


def test_the_peptide_unit_is_that_of_ideal_chains() -> None:
    p = build_peptides(["AA"])
    row = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    wanted = p.xyz[[row[0, "CA"], row[0, "C"], row[0, "O"], row[1, "N"], row[1, "CA"]]]
    found = peptide_unit().double().numpy()
    for a in range(5):
        for b in range(a):
            distance = np.linalg.norm(wanted[a] - wanted[b])
            assert np.linalg.norm(found[a] - found[b]) == pytest.approx(distance, abs=2e-3)


@pytest.mark.parametrize("forward", [True, False])
def test_continuations_have_the_torsions_of_the_grid(forward: bool) -> None:
    units, betas, log_probability = continuations(forward)
    assert len(units) == len(betas) == len(log_probability) == 18 * 18
    angles = np.arange(-170, 180, 20)
    for k in (0, 57, 200, 323):
        phi, psi = angles[k // 18], angles[k % 18]
        unit = units[k].double().numpy()
        if forward:  # known are C before, N and CA of the residue
            n = np.array([-ideal.N_CA, 0, 0])
            ca, c, following = unit[CA], unit[C], unit[N]
            before = n + np.array([-0.3, 1.0, 0.0])
        else:
            c = np.array([-ideal.CA_C, 0, 0])
            ca, n, before = unit[NEXT_CA], unit[N], unit[C]
            following = c + np.array([-0.3, 1.0, 0.0])
        for wanted, atoms in ((phi, (before, n, ca, c)), (psi, (n, ca, c, following))):
            found = np.degrees(dihedral(np.array(atoms), range(4)))
            assert (found - wanted + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
        assert np.degrees(abs(dihedral(unit[[CA, C, N, NEXT_CA]], range(4)))) == pytest.approx(180)
        # an L residue: CO, R and N clockwise seen from the hydrogen
        volume = np.dot(n - ca, np.cross(c - ca, betas[k].double().numpy() - ca))
        assert volume == pytest.approx(ideal.CHIRAL_VOLUME, abs=0.2)
        assert np.linalg.norm(unit[C] - unit[O]) == pytest.approx(ideal.C_O, abs=1e-3)


def test_the_likeliest_continuations_are_helices_and_strands() -> None:
    log_probability = continuations(True)[2].view(18, 18)
    phi, psi = np.unravel_index(int(log_probability.argmax()), (18, 18))
    assert -180 + 20 * phi + 10 < 0
    mirrored = log_probability[[17 - phi], [17 - psi]]
    assert float(mirrored) < -1.0


def test_beta_carbon_lies_where_alanine_has_it() -> None:
    p = build_peptides(["AAA"])
    rows = {n: i for i, n in enumerate(p.names) if p.residue[i] == 1}
    n, ca, c, cb = (torch.as_tensor(p.xyz[rows[x]])[None] for x in ("N", "CA", "C", "CB"))
    assert float((beta_of(n, ca, c) - cb).norm()) < 0.1
    assert gemmi.Position(*ca[0].tolist()).dist(gemmi.Position(*cb[0].tolist())) > 1.4


@pytest.mark.parametrize("forward", [True, False])
def test_cis_units_come_after_the_trans_ones_and_are_rare(forward: bool) -> None:
    trans, both = continuations(forward), continuations(forward, cis=True)
    n = len(trans[0])
    assert len(both[0]) == 2 * n
    torch.testing.assert_close(both[0][:n], trans[0])
    for unit in both[0][n::50].double().numpy():
        assert dihedral(unit[[CA, C, N, NEXT_CA]], range(4)) == pytest.approx(0, abs=1e-4)
        assert abs(dihedral(unit[[O, C, N, NEXT_CA]], range(4))) == pytest.approx(np.pi, abs=1e-2)
    assert both[2][n:].numpy() == pytest.approx((trans[2] + np.log(0.003)).numpy(), abs=1e-4)
