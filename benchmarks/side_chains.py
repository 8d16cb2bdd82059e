"""Quality of rebuilt side chains: each residue of a chain, cut and rebuilt by itself.

    python benchmarks/side_chains.py

Cuts every residue of 1SHG in turn to its backbone, and to its backbone and CB, rebuilds it as
`crysformer dataset build --repair` does, and compares with the deposited residue. The rows
*PDBFixer alone* leave out what `crysformer.data.dataset.repair` adds to it. Needs PDBFixer.
"""

from __future__ import annotations

import argparse
import importlib
import io
import time
from collections import Counter
from collections.abc import Callable

import gemmi
import numpy as np

from crysformer.data.dataset.repair import rebuild_side_chains
from crysformer.data.dataset.standardise import FAULTS, Chain, standardize
from crysformer.peptide import residues
from crysformer.testing import sound_chain

Rebuild = Callable[[gemmi.Structure], None]


def main() -> None:
    """Print one row for each cut and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.parse_args()
    print("cut to | method | residues | complete, L | not L | clash | CB A | RMSD A | CPU s each")
    for kept, name in ((4, "backbone"), (5, "CB")):
        for method, rebuild in (("PDBFixer alone", alone), ("repair", repair)):
            print(f"{name} | {method} | {row(kept, rebuild)}")


def repair(structure: gemmi.Structure) -> None:
    """Rebuild as the package does."""
    rebuild_side_chains(structure, Counter())


def alone(structure: gemmi.Structure) -> None:
    """Rebuild by PDBFixer with nothing else."""
    openmm, pdbfixer = map(importlib.import_module, ("openmm", "pdbfixer"))
    text = io.StringIO(structure.make_mmcif_document().as_string())
    platform = openmm.Platform.getPlatformByName("Reference")
    fixer = pdbfixer.PDBFixer(pdbxfile=text, platform=platform)
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.missingTerminals = {}
    fixer.addMissingAtoms(seed=1)
    for residue, whole in zip(structure[0][0], fixer.topology.residues(), strict=True):
        there = {atom.name for atom in residue}
        for atom in whole.atoms():
            if atom.name not in there:
                new = gemmi.Atom()
                new.name, new.element = atom.name, gemmi.Element(atom.name[0])
                position = fixer.positions[atom.index].value_in_unit(openmm.unit.angstrom)
                new.pos = gemmi.Position(*position)
                residue.add_atom(new)


def row(kept: int, rebuild: Rebuild) -> str:
    """Figures of all residues that have more than `kept` atoms."""
    (true,) = standardize(sound_chain(), Counter())
    states: Counter[str] = Counter()
    beta, rmsd = [], []
    begun = time.process_time()
    for number, index in enumerate(true.code.tolist()):
        if residues.N_ATOMS[index] <= kept:
            continue
        structure = sound_chain()
        cut(structure, number, kept)
        rebuild(structure)
        (found,) = standardize(structure, Counter())
        state = FAULTS[found.fault[number]] or ("clash" if clashes(found, number) else "good")
        states[state] += 1
        if state == "good":
            real = residues.NUMBERS[index] > 0
            apart = np.linalg.norm(found.xyz[number, real] - true.xyz[number, real], axis=1)
            beta.append(apart[4])
            rmsd.append(float(np.sqrt((apart**2).mean())))
    n = states.total()
    clash = states["clash"] + states["residue_missing_atom"]
    seconds = (time.process_time() - begun) / n
    return (
        f"{n} | {states['good']} | {states['residue_not_l']} | {clash} | {np.median(beta):.2f} | "
        f"{np.median(rmsd):.2f} | {seconds:.2f}"
    )


def cut(structure: gemmi.Structure, number: int, kept: int) -> None:
    """Remove all atoms of a residue but the first `kept`."""
    residue = structure[0][0][number]
    names = residues.ATOMS[residues.INDEX[residue.name]][kept:]
    for i in reversed(range(len(residue))):
        if residue[i].name in names:
            del residue[i]


def clashes(chain: Chain, number: int) -> bool:
    """True if side-chain atoms of a residue are within 2 A of another residue."""
    real = residues.NUMBERS[chain.code] > 0
    own = chain.xyz[number, 4:][real[number, 4:]]
    real[number] = False
    return bool((np.linalg.norm(own[:, None] - chain.xyz[real][None], axis=-1) < 2.0).any())


if __name__ == "__main__":
    main()
