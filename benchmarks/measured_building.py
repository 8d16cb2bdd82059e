"""Models built from solved folders of measured crystals, compared with the deposited ones.

    python benchmarks/measured_building.py build SOLVED=MODEL ... -o FOLDER [--time-limit S]
    python benchmarks/measured_building.py compare BUILT=MODEL ...

SOLVED is a folder of `crysformer solve` (with --sequence), MODEL the deposited model of that
crystal. `build` runs `crysformer build SOLVED -o FOLDER/NAME`, with servalcat where it is on the
PATH, and counts the processor time of all its processes. Both print a row of a Markdown table for
each crystal: R factors of the written model, and those of the deposited coordinates by the same
scaling with the same amplitudes and free set.

Atoms are compared at the permissible origin and symmetry mate that bring most of them together. An
atom of the deposited model (the first conformer, no hydrogen, no solvent) is compared with the
nearest atom of the same name at the same place of the sequence, in any chain; atoms that are alike
(CD1 and CD2 of leucine, O and N of amides) may change places.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.residues import NAME_OF

NEAR = 0.4  # A
ALIKE = {
    **{("ASN", x): "D" for x in ("OD1", "ND2")},
    **{("GLN", x): "E" for x in ("OE1", "NE2")},
    **{("ASP", x): "D" for x in ("OD1", "OD2")},
    **{("GLU", x): "E" for x in ("OE1", "OE2")},
    **{("LEU", x): "D" for x in ("CD1", "CD2")},
    **{("VAL", x): "G" for x in ("CG1", "CG2")},
    **{("ARG", x): "H" for x in ("NH1", "NH2")},
    **{(name, "OXT"): "O" for name in NAME_OF.values()},
    **{(name, x): x[:2] for name in ("PHE", "TYR") for x in ("CD1", "CD2", "CE1", "CE2")},
}
HEAD = (
    "| crystal | R-work | R-free | deposited model | mean B, deposited (A^2) "
    "| atoms within 0.4 A | rms (A) | processor time (s) | wall (s) |\n" + "|---" * 9 + "|"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("build", "compare"))
    parser.add_argument("pairs", nargs="+", metavar="FOLDER=MODEL")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--time-limit", type=float, default=300.0)
    arguments = parser.parse_args()
    print(HEAD)
    for pair in arguments.pairs:
        folder, model = map(Path, pair.split("="))
        seconds = ""
        if arguments.action == "build":
            folder, seconds = _built(folder, arguments.output / folder.name, arguments.time_limit)
        print(_row(folder, model, seconds), flush=True)


def _built(solved: Path, output: Path, limit: float) -> tuple[Path, str]:
    """Run the command; the folder it writes, and the processor time of its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "crysformer", "build", solved, "-o", output, "--overwrite", "-q",
         "--build-time-limit", f"{limit:g}"],
        check=True, stdout=sys.stderr,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return output, f"{used:.0f}"


def _row(folder: Path, path: Path, seconds: str) -> str:
    from crysformer.building.r_factors import r_factors
    from crysformer.building.scaling import scale_model
    from crysformer.crystal.free_set import free_set
    from crysformer.crystal.io.read import read_crystal
    from crysformer.evaluation.deposited_models import read_model

    figures = json.loads((folder / "summary.json").read_text())["refinement"]
    fold = figures["r_free_k_fold"]
    r_free = f"{figures['r_free']:.3f} ({figures['n_free']} free)"
    if fold:
        r_free += (
            f"; five-fold {fold['r_work']:.3f}, {fold['r_free']:.3f} +- {fold['r_free_error']:.3f}"
        )
    ours, theirs = read_model(folder / "model.cif"), read_model(path)
    data = read_crystal(folder / "solution.mtz")
    free = free_set(data)
    theirs.cell, theirs.spacegroup_hm = data.cell, data.space_group.xhm()
    scaled = scale_model(theirs, data, free)
    r = r_factors(data, free, scaled.F_model)
    _, away = distances(ours, theirs)
    near = int((away <= NEAR).sum())
    rms = float(np.sqrt((away[away <= NEAR] ** 2).mean())) if near else np.nan
    return (
        f"| {folder.name} | {figures['r_work']:.3f} | {r_free} | {r.r_work:.3f}, {r.r_free:.3f} "
        f"| {figures['mean_b']:.1f}, {scaled.mean_b:.1f} | {near} of {len(away)} "
        f"({100 * near / len(away):.1f} %) | {rms:.2f} | {seconds} | {figures['seconds']:.0f} |"
    )


def distances(
    ours: gemmi.Structure, theirs: gemmi.Structure
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Names of the atoms of the deposited chains, and distances to the nearest like atoms of ours.

    Both of shape (atoms of `theirs`,), A; infinite where our model has no such atom.
    """
    from crysformer.building.model_atoms import polymer_chains
    from crysformer.crystal.operators import operators
    from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
    from crysformer.phasing.origin.permissible_origins import permissible_origins

    group = ours.find_spacegroup()
    to_frac, orth = frac_matrix(ours.cell), orth_matrix(ours.cell)
    projector = operators(group).polar_projector
    own, other = (
        [_labelled(chain, to_frac) for chain in polymer_chains(s)] for s in (ours, theirs)
    )
    there = np.concatenate([frac for _, frac in other])
    of_theirs = np.concatenate([labels for labels, _ in other])
    alike = np.concatenate([labels for labels, _ in own])[:, None] == of_theirs
    mates = [
        np.concatenate([frac for _, frac in own]) @ rotation.T + translation
        for rotation, translation in operators(group, centred=True)
    ]

    def away(shift: NDArray[np.float64]) -> NDArray[np.float64]:
        nearest = np.full(alike.shape, np.inf)
        for mate in mates:
            gap = there - (mate + shift)[:, None]
            gap = (gap - np.round(gap)) @ orth.T
            nearest = np.minimum(nearest, np.linalg.norm(gap, axis=-1))
        return np.asarray(np.where(alike, nearest, np.inf).min(axis=0))

    best = np.full(len(there), np.inf)
    for labels, frac in own:
        for their_labels, their_frac in other:
            rows = [(i, j) for i, x in enumerate(labels) for j in np.flatnonzero(their_labels == x)]
            alphas = [(i, j) for i, j in rows if labels[i].endswith(" CA")]
            if not alphas:
                continue
            i, j = np.array(alphas).T
            for rotation, translation in operators(group, centred=True):
                apart = np.median(their_frac[j] - frac[i] @ rotation.T - translation, axis=0)
                for origin in permissible_origins(group).shifts:  # polar directions are free
                    found = away(origin + projector @ (apart - origin))
                    best = max(best, found, key=lambda d: (int((d <= NEAR).sum()), -np.median(d)))
    return np.array([label.split()[1] for label in of_theirs]), best


def _labelled(
    chain: gemmi.Chain, to_frac: NDArray[np.float64]
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Atoms of one chain: place in the sequence with the name, and fractional coordinates."""
    from crysformer.building.model_atoms import residue_letter

    residues = [r for r in chain.first_conformer() if residue_letter(r.name) is not None]
    labels, positions = [], []
    for place, residue in enumerate(residues):
        for atom in residue.first_conformer():
            if not atom.is_hydrogen():
                labels.append(f"{place} {ALIKE.get((residue.name, atom.name), atom.name)}")
                positions.append(atom.pos.tolist())
    return np.array(labels), np.array(positions) @ to_frac.T


if __name__ == "__main__":
    main()
