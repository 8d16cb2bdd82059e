"""Solve crystals whose measurement is simulated from complete deposited models.

    python benchmarks/deposited.py --data FOLDER [--only NAMES] [--time-limit S] [--method NAME]

FOLDER holds deposited entries (NAME.pdb.gz, NAME.cif.gz). From all that an entry holds (every
chain, alternative sites with their occupancies, waters, ions and ligands, isotropic or anisotropic
B as deposited, hydrogen only where it is deposited) gemmi calculates structure factors in the
entry's own space group to the entry's resolution, and adds bulk solvent: Ftotal = Fc + k_sol
exp(-B_sol s^2 / 4) Fmask, with k_sol 0.35 e/A^3 (0.11 A/A^3 for electrons) and B_sol 46 A^2
(Fokine & Urzhumtsev, Acta Cryst. D58, 1387, 2002). Amplitudes get an error of `--error` of their
size, with SIGF to match, and `--missing` of them, at random or in a wedge, are not measured. Where
the folder holds measured amplitudes beside the model (NAME.mtz, NAME-sf.cif.gz) `--measured` takes
those instead.

`crysformer.solve` gets the sequence of the protein chains and the copies in the asymmetric unit.
Phases are scored as in `experimental.py`: F-weighted phase error over the measured reflections to
the structure factors of the deposited atoms alone, origin and hand aligned; solved means at most
40 degrees. Prints one line a crystal, a row of a Markdown table. `--control shuffled` shuffles
amplitudes within shells of resolution, so that there is nothing to solve; `--control sequence`
gives the residues of each chain in another order.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.cell_composition import check_fits
from crysformer.crystal.comparison.compare import SOLVED_PHASE_ERROR, compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.data.synthetic.measurement_model import ErrorModel, Missing, measure
from crysformer.errors import CrysformerError, InputError
from crysformer.evaluation.deposited_models import (
    find_cases,
    model_phases,
    model_structure_factors,
    n_atoms,
    protein_chains,
    read_model,
)
from crysformer.evaluation.regimes.controls import shuffled_within_shells
from crysformer.peptide.chain import letters_of
from crysformer.phasing.solver import solve

K_SOL: dict[Radiation, float] = {"xray": 0.35, "electron": 0.11}
"""e/A^3, and A/A^3 for electrons: that of water at s = 0 in the same proportion to its density."""
B_SOL = 46.0  # A^2
HEAD = (
    "| entry | space group | d_min (Å) | reflections | atoms | solved | claimed | "
    "confidence | F-weighted phase error (°) | hand | method | s |\n"
    "|---|---|---:|---:|---:|---|---|---:|---:|---|---|---:|"
)


@dataclass(frozen=True)
class Settings:
    """Options of the simulated measurement and of the solver."""

    error: float
    missing: float
    d_min: float | None
    method: str
    time_limit: float
    seed: int
    control: str | None = None
    radiation: Radiation = "xray"
    wedge: bool = False


def structure_factors(
    structure: gemmi.Structure,
    hkl: NDArray[np.int32],
    d_min: float,
    radiation: Radiation = "xray",
) -> NDArray[np.complex128]:
    """F of all atoms and of bulk solvent, shape (n,), electrons, or A for electron diffraction."""
    F = model_structure_factors(structure, hkl, d_min, radiation)
    s_sq = np.asarray(structure.cell.calculate_d_array(hkl), dtype=np.float64) ** -2.0
    mask = gemmi.FloatGrid()
    mask.setup_from(structure, spacing=min(0.6, d_min / 3))
    gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(mask, structure[0])
    solvent = gemmi.transform_map_to_f_phi(mask).get_value_by_hkl(hkl)
    k_sol = K_SOL[radiation]
    return np.asarray(F + k_sol * np.exp(-0.25 * B_SOL * s_sq) * solvent, dtype=np.complex128)


def simulate(structure: gemmi.Structure, name: str, settings: Settings) -> CrystalData:
    """Simulate the measurement of an entry, to its resolution or `settings.d_min`."""
    group = gemmi.SpaceGroup(structure.spacegroup_hm)
    d_min = settings.d_min or structure.resolution
    hkl = gemmi.make_miller_array(structure.cell, group, d_min)
    f_true = np.abs(structure_factors(structure, hkl, d_min, settings.radiation))
    rng = np.random.default_rng(settings.seed)
    missing: Missing = "wedge" if settings.wedge else "random"
    errors = ErrorModel(settings.error, 1 - settings.missing, missing)
    f, sigf = measure(f_true, hkl, structure.cell, errors, rng, group)
    return CrystalData(
        structure.cell,
        group,
        hkl.astype(np.int32),
        f,
        sigf,
        radiation=settings.radiation,
        source=name,
    )


def water_chain(
    positions: Sequence[NDArray[np.float64]], b_iso: Callable[[], float]
) -> gemmi.Chain:
    """Waters at positions (3,), A, as a chain; `b_iso` gives B of each in turn, A^2."""
    waters = gemmi.Chain("W")
    for number, position in enumerate(positions, start=1):
        atom = gemmi.Atom()
        atom.name, atom.element = "O", gemmi.Element("O")
        atom.pos, atom.b_iso = gemmi.Position(*position), b_iso()
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = "HOH", gemmi.SeqId(str(number)), "H"
        residue.entity_type = gemmi.EntityType.Water
        residue.add_atom(atom)
        waters.add_residue(residue)
    return waters


def chains_of(structure: gemmi.Structure) -> tuple[list[str], int]:
    """Sequences and copies of the whole construct, or of the built model.

    The model counts where the file has no construct (no SEQRES), and where it does not fit into the
    cell (fibres that repeat).
    """
    sequences, copies = protein_chains(structure)
    try:
        if not all(sequences):
            raise InputError("no sequence of the construct")
        check_fits(structure.cell, gemmi.SpaceGroup(structure.spacegroup_hm), sequences, copies)
    except InputError:
        polymers = [chain.get_polymer() for chain in structure[0]]
        built = [p.make_one_letter_sequence().replace("-", "") for p in polymers if len(p)]
        copies = math.gcd(*Counter(built).values())
        return sorted(built)[::copies], copies
    return sequences, copies


def line(name: str, data: CrystalData, structure: gemmi.Structure, settings: Settings) -> str:
    """Solve one crystal, and format a row of the table."""
    start = f"| {name} | {data.space_group.xhm()} | {data.d_min:.2f} | {data.measured.sum()} | "
    start += f"{n_atoms(structure)} | "
    begun = time.monotonic()
    try:
        sequences, copies = chains_of(structure)
        rng = np.random.default_rng(settings.seed)
        if settings.control == "shuffled":
            data = shuffled_within_shells(data, rng)
        elif settings.control == "sequence":
            sequences = ["".join(rng.permutation(list(letters_of(s)))) for s in sequences]
        found = solve(
            data,
            sequences,
            copies=copies,
            method=settings.method,
            time_limit=settings.time_limit,
            seed=settings.seed,
        )
    except CrysformerError as refusal:
        return f"{start}refused: {refusal} | - | - | - | - | - | {time.monotonic() - begun:.0f} |"
    true = model_phases(structure, data.hkl, data.d_min, data.radiation)
    compared = compare_phases(data.hkl, data.f, found.phi, true, data.cell, data.space_group)
    solved = compared.weighted_aligned <= SOLVED_PHASE_ERROR
    hand = "wrong" if compared.inverted else "right"
    return (
        f"{start}{'yes' if solved else 'no'} | {'yes' if found.solved else 'no'} | "
        f"{found.confidence:.2f} | {compared.weighted_aligned:.1f} | "
        f"{hand if solved else '-'} | {found.method} | {time.monotonic() - begun:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of deposited entries")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only these entries, such as 3dg1"
    )
    parser.add_argument("--measured", action="store_true", help="the amplitudes beside the models")
    parser.add_argument(
        "--error", type=float, default=0.05, help="relative error of amplitudes (default 0.05)"
    )
    parser.add_argument("--missing", type=float, default=0.05, help="fraction (default 0.05)")
    parser.add_argument("--wedge", action="store_true", help="a wedge of them, as in microED")
    parser.add_argument("--radiation", choices=("xray", "electron"), default="xray")
    parser.add_argument("--d-min", type=float, help="resolution instead of the entry's, A")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds for each (600)")
    parser.add_argument("--control", choices=("shuffled", "sequence"), help="see the head")
    parser.add_argument("--seed", type=int, default=0, help="seed for errors and search")
    args = parser.parse_args()
    settings = Settings(
        args.error,
        args.missing,
        args.d_min,
        args.method,
        args.time_limit,
        args.seed,
        args.control,
        args.radiation,
        args.wedge,
    )
    print(HEAD)
    if args.measured:
        pairs = [(c.name, c.model, c.reflections) for c in find_cases(args.data) if c.model]
    else:
        models = sorted([*args.data.glob("*.pdb.gz"), *args.data.glob("*.cif.gz")])
        models = [path for path in models if not path.name.endswith("-sf.cif.gz")]
        pairs = [(path.name.split(".")[0], path, path) for path in models]
    for name, model, reflections in pairs:
        if args.only is not None and name not in args.only:
            continue
        structure = read_model(model)
        if args.measured:
            data = read_crystal(reflections, radiation=args.radiation)
        else:
            data = simulate(structure, name, settings)
        print(line(name, data, structure, settings), flush=True)


if __name__ == "__main__":
    main()
