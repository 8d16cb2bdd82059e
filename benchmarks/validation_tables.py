"""Make the tables that models are validated with, from the training fragments.

    python benchmarks/validation_tables.py DATA --index structures/index.tsv

DATA is a data set of `crysformer dataset build --recipe fifteen`; the index names the resolution of
its entries. Written are, into `src/crysformer/building/validation/`:

- `torsions.json`: densities of phi and psi (six classes of residues, that of glycine symmetric) and
  of side-chain torsions (pairs of neighbouring ones), in the entries of the training split to
  1.8 A. Kernel estimates whose width is adapted to the local density (Abramson 1982; for this use,
  Lovell et al. 2003), with the densities that given fractions of the residues lie below.
- `ideal_values.json`: medians of bond lengths and bond angles in the same entries, with robust
  standard deviations.

Each residue counts once, by the inverse of the number of chains of its cluster of sequences.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crysformer
from crysformer.building.validation import residue_topology as topology
from crysformer.building.validation.torsion_density import TorsionDensity
from crysformer.data.store import FragmentStore, FragmentTable
from crysformer.files import write_bytes
from crysformer.peptide import residues

RESOLUTION = 1.8  # A
RAMACHANDRAN_STEP, CHI_STEP = 5.0, 9.0  # degrees
PILOT, NARROWEST, WIDEST = 8.0, 3.0, 24.0  # standard deviations of kernels, degrees
WIDTHS = 12
LEVELS = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SCALE, LOWEST = 10, -100  # of the stored logarithms
INNER = 13  # residues 1 to 12 of a fragment; windows overlap by three residues
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    args = parser.parse_args()
    store = FragmentStore.open(args.data)
    table = store.table("train")
    resolution = resolutions(args.index)
    rows = np.array([resolution.get(entry.lower(), np.inf) <= RESOLUTION for entry in table.entry])
    chains = defaultdict(set)
    for i in np.flatnonzero(rows):
        chains[table.cluster[i]].add((table.entry[i], table.chain[i]))
    weight = np.array([1 / max(1, len(chains[cluster])) for cluster in table.cluster])
    backbone, sides, geometry = collect(table, np.flatnonzero(rows), weight)
    header = {
        "source": "wwPDB coordinates (CC0 1.0), by benchmarks/validation_tables.py from the "
        f"training split of a data set of 15-residue fragments, entries to {RESOLUTION} A, each "
        "cluster of sequences counting as one chain",
        "fragments_sha256": store.fragments_hash,
        "entries": len({table.entry[i] for i in np.flatnonzero(rows)}),
        "version": crysformer.__version__,
    }
    folder = Path(crysformer.__file__).parent / "building" / "validation"
    write(folder / "torsions.json", torsion_tables(header, backbone, sides))
    write(folder / "ideal_values.json", ideal_values(header, geometry))


def resolutions(index: Path) -> dict[str, float]:
    """Resolution of each entry, A, where it is known."""
    with index.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    known = [row for row in rows if row["resolution"].replace(".", "", 1).isdigit()]
    return {row["pdb_id"].lower(): float(row["resolution"]) for row in known}


def collect(
    table: FragmentTable, rows: NDArray[np.int64], weight: Floats
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Gather torsions of the backbone and of side chains, and bonds and angles, with weights."""
    first = np.zeros((len(table), 16), dtype=np.int64)
    first[:, 1:] = np.cumsum(residues.N_ATOMS[table.codes], axis=1)
    first += table.offset[:-1, None]
    xyz = table.xyz.astype(np.float64)
    backbone: dict[str, list[Floats]] = defaultdict(list)
    sides: dict[str, list[Floats]] = defaultdict(list)
    geometry: dict[str, list[Floats]] = defaultdict(list)
    for j in range(1, INNER):
        n, ca, c = (xyz[first[rows, j] + k] for k in range(3))
        before, after = xyz[first[rows, j - 1] + 2], xyz[first[rows, j + 1]]
        phi, psi = torsion(before, n, ca, c), torsion(n, ca, c, after)
        omega = torsion(xyz[first[rows, j - 1] + 1], before, n, ca)
        w = weight[rows]
        kinds = classes(table.codes[rows, j], table.codes[rows, j + 1], omega)
        for kind in np.unique(kinds):
            of = kinds == kind
            backbone[kind].append(np.column_stack((phi[of], psi[of], w[of])))
        for code, name in enumerate(residues.NAMES):
            of = np.flatnonzero(table.codes[rows, j] == code)
            start, w_of = first[rows[of], j], w[of]
            at = {a: xyz[start + k] for k, a in enumerate(residues.ATOMS[code])}
            at |= {"N+": after[of], "C-": before[of]}
            following = residues.NAMES.index("PRO") == table.codes[rows[of], j + 1]
            own = [pair for pair in topology.bonds(name) if "OXT" not in pair]
            linked = [triple for triple in topology.angles(name) if "OXT" not in triple]
            chi = [torsion(*(at[a] for a in quad)) for quad in topology.chi_atoms(name)]
            if chi:
                sides[name].append(np.column_stack((*chi, w_of)))
            for a, b in own:
                length = np.linalg.norm(at[a] - at[b], axis=1)
                geometry[f"{name} {a} {b}"].append(length)
            for a, b, d in linked:
                geometry[f"{name} {a} {b} {d}"].append(angle(at[a], at[b], at[d]))
            next_ca = xyz[first[rows[of], j + 1] + 1]
            for kind, chosen in (("any", ~following), ("PRO", following)):
                link = f"link {kind} "
                gap = np.linalg.norm(at["C"] - at["N+"], axis=1)
                geometry[link + "C N+"].append(gap[chosen])
                geometry[link + "CA C N+"].append(angle(at["CA"], at["C"], at["N+"])[chosen])
                geometry[link + "O C N+"].append(angle(at["O"], at["C"], at["N+"])[chosen])
                geometry[link + "C N+ CA+"].append(angle(at["C"], at["N+"], next_ca)[chosen])
                if kind == "PRO":
                    cd = xyz[first[rows[of], j + 1][chosen] + residues.ATOMS[14].index("CD")]
                    values = angle(at["C"][chosen], at["N+"][chosen], cd)
                    geometry[link + "C N+ CD+"].append(values)
    joined = [{k: np.concatenate(v) for k, v in d.items()} for d in (backbone, sides, geometry)]
    return joined[0], joined[1], joined[2]


def classes(
    code: NDArray[np.uint8], following: NDArray[np.uint8], omega: Floats
) -> NDArray[np.str_]:
    """Class of the Ramachandran plot of each residue."""
    proline = residues.NAMES.index("PRO")
    names = np.array(residues.NAMES)[code]
    kind = np.where(np.isin(names, ("ILE", "VAL")), "isoleucine or valine", "general")
    kind = np.where(following == proline, "before proline", kind)
    kind = np.where(names == "GLY", "glycine", kind)
    cis = np.abs(omega) < 90
    return np.where(names == "PRO", np.where(cis, "cis proline", "trans proline"), kind)


def torsion(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Torsion angles in degrees, -180 to 180 (IUPAC sign)."""
    b0, b1, b2 = b - a, c - b, d - c
    n0, n1 = np.cross(b0, b1), np.cross(b1, b2)
    along = np.linalg.norm(b1, axis=1) * (b0 * n1).sum(1)
    return np.degrees(np.arctan2(along, (n0 * n1).sum(1)))


def angle(a: Floats, b: Floats, c: Floats) -> Floats:
    """Angles at b in degrees."""
    u, v = a - b, c - b
    cosine = (u * v).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def torsion_tables(
    header: dict[str, Any], backbone: dict[str, Floats], sides: dict[str, Floats]
) -> dict[str, Any]:
    """Content of torsions.json."""
    plots: dict[str, Any] = {}
    no_levels = (np.zeros(0), np.zeros(0))
    for kind, observed in sorted(backbone.items()):
        # glycine is its own mirror image
        mirrored = observed * (-1.0, -1.0, 1.0)
        values = np.concatenate((observed, mirrored)) if kind == "glycine" else observed
        log_density = adaptive_density(
            values[:, :2], values[:, 2], (360.0, 360.0), RAMACHANDRAN_STEP
        )
        stored = quantised(log_density)
        density = TorsionDensity((np.array(stored) / SCALE,), (360.0, 360.0), *no_levels)
        at = density.log_density(values[:, :2])
        plots[kind] = {"n": len(observed), "levels": levels(at, values[:, 2]), "table": stored}
    rotamers: dict[str, Any] = {}
    for name, values in sorted(sides.items()):
        chi, w = values[:, :-1], values[:, -1]
        periods = tuple(topology.chi_period(name, k + 1) for k in range(chi.shape[1]))
        pairs = [slice(k, k + 2) for k in range(max(1, chi.shape[1] - 1))]
        tables = [
            quantised(adaptive_density(chi[:, pair], w, periods[pair], CHI_STEP)) for pair in pairs
        ]
        logarithms = tuple(np.array(table) / SCALE for table in tables)
        log = TorsionDensity(logarithms, periods, *no_levels).log_density(chi)
        rotamers[name] = {"n": len(chi), "levels": levels(log, w), "tables": tables}
    about = {
        "levels_at": list(LEVELS),
        "about": "tables: logarithm of the density in units of the uniform one, times "
        f"{SCALE}; entry [i, j] at -180 + i * step degrees of the first torsion and j of the "
        "second. levels: the logarithm (not multiplied) below which the fractions levels_at of "
        "the residues lie.",
        "scale": SCALE,
    }
    return header | about | {"ramachandran": plots, "rotamers": rotamers}


def adaptive_density(
    angles: Floats, weight: Floats, periods: tuple[float, ...], step: float
) -> Floats:
    """Logarithm of an adaptive kernel estimate at multiples of `step`, relative to uniform."""
    fine = step / 2
    shape = tuple(round(p / fine) for p in periods)
    place = [np.round((angles[:, k] + 180) / fine).astype(int) % n for k, n in enumerate(shape)]
    total = np.zeros(shape)
    np.add.at(total, tuple(place), weight)
    pilot = smooth(total, PILOT / fine)
    local = np.log(pilot[tuple(place)])
    width = PILOT * np.exp(-0.5 * (local - np.average(local, weights=weight)))
    width = np.clip(width, NARROWEST, WIDEST)
    grades = np.geomspace(NARROWEST, WIDEST, WIDTHS)
    grade = np.abs(np.log(width[:, None] / grades)).argmin(1)
    density = np.zeros(shape)
    for g, sigma in enumerate(grades):
        counts = np.zeros(shape)
        of = grade == g
        np.add.at(counts, tuple(p[of] for p in place), weight[of])
        density += smooth(counts, sigma / fine)
    density *= density.size / density.sum()
    return np.log(np.maximum(density, 1e-30))[tuple(slice(None, None, 2) for _ in shape)]


def smooth(counts: Floats, sigma: float) -> Floats:
    """Periodic convolution with a Gaussian of `sigma` grid points."""
    transform = np.fft.fftn(counts)
    for axis, n in enumerate(counts.shape):
        frequency = np.fft.fftfreq(n)
        factor = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
        transform *= factor.reshape([-1 if k == axis else 1 for k in range(counts.ndim)])
    return np.maximum(np.fft.ifftn(transform).real, 1e-12 * counts.sum())


def quantised(log_density: Floats) -> list[Any]:
    """Rounded logarithms, as stored."""
    return np.maximum(np.round(SCALE * log_density), LOWEST).astype(int).tolist()


def levels(log_density: Floats, weight: Floats) -> list[float]:
    """Densities that the fractions `LEVELS` of all residues lie below."""
    order = np.argsort(log_density)
    below = np.cumsum(weight[order]) / weight.sum()
    return np.round(np.interp(LEVELS, below, log_density[order]), 2).tolist()


def ideal_values(header: dict[str, Any], geometry: dict[str, Floats]) -> dict[str, Any]:
    """Content of ideal_values.json."""
    values: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for key, found in sorted(geometry.items()):
        residue, _, atoms = key.partition(" ")
        if residue == "link":
            kind, _, atoms = atoms.partition(" ")
            residue = f"link {kind}"
        digits = 4 if len(atoms.split()) == 2 else 2
        median = float(np.median(found))
        spread = 1.4826 * float(np.median(np.abs(found - median)))
        values[residue][atoms] = [round(median, digits), round(spread, digits)]
    about = "median and robust standard deviation of bond lengths (A) and bond angles (degrees)"
    return header | {"about": about, "values": values}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with one row of numbers on a line."""
    write_bytes(path, (compact(content, "") + "\n").encode())
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def compact(value: Any, indent: str) -> str:
    """JSON text whose lists of numbers take one line each."""
    if isinstance(value, dict):
        inner = indent + " "
        items = (f"{inner}{json.dumps(k)}: {compact(v, inner)}" for k, v in value.items())
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        inner = indent + " "
        return "[\n" + ",\n".join(inner + compact(v, inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
