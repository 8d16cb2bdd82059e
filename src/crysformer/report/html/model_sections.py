"""Sections on the model: refinement, residues, and what validation found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import gemmi

from crysformer.inline_html import html_text
from crysformer.report.html.result_folder import ResultFolder
from crysformer.report.html.tables import Markup, table
from crysformer.wording import r_factors_text

_MOST_PEAKS = 12


def model_section(results: ResultFolder) -> str:
    """Refinement, residues that move the view, and what validation found."""
    structure = results.structure
    if structure is None or not len(structure):
        return ""
    validation = results.summary.get("validation") or {}
    waters = sum(1 for chain in structure[0] for residue in chain if residue.is_water())
    text = f"<p>{waters} water{'' if waters == 1 else 's'}.</p>" if waters else ""
    return (
        _refinement(results.summary.get("refinement") or {})
        + _residues(structure, validation)
        + text
        + (_geometry(validation) + _peaks(validation) if validation else "")
    )


def _refinement(refined: Mapping[str, Any]) -> str:
    if refined.get("failure") and "r_work" not in refined:
        return f'<p class="warning">No model was built: {escape(str(refined["failure"]))}</p>'
    if refined.get("r_work") is None:
        return ""
    rows: list[list[object]] = [["R factors", r_factors_text(refined)]]
    for key, name in (
        ("program", "program"), ("start", "begun from"), ("free_set", "free set"),
        ("mean_b", "mean B / A^2"), ("n_residues", "residues"), ("n_waters", "waters"),
        ("hydrogens", "hydrogens"), ("anisotropic", "anisotropic B"),
    ):  # fmt: skip
        value = refined.get(key)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, float):
            value = f"{value:.1f}"
        if value is not None:
            rows.append([name, value])
    told = [note for note in refined.get("notes", []) if note != refined.get("free_set")]
    notes = "".join(f"<li>{html_text(str(note))}</li>" for note in told)
    return table(["refinement", ""], rows) + (f"<ul>{notes}</ul>" if notes else "")


def _residues(structure: gemmi.Structure, validation: Mapping[str, Any]) -> str:
    """Table of residues, each a button with where it is."""
    fits = {
        (entry["chain"], entry["residue"]): entry["correlation"]
        for entry in (validation.get("map_correlation") or {}).get("residues", [])
    }
    remarks = _remarks(validation)
    rows: list[list[object]] = []
    for chain in structure[0]:
        for residue in chain:
            if residue.is_water() or not len(residue):
                continue
            place = (chain.name, str(residue.seqid))
            atom = residue.find_atom("CA", "*") or residue[0]
            name = f"{chain.name} {residue.seqid} {residue.name}"
            mean_b = sum(a.b_iso for a in residue) / len(residue)
            heavy = sum(not a.is_hydrogen() for a in residue)
            row: list[object] = [button(name, atom.pos.tolist()), heavy, f"{mean_b:.1f}"]
            if validation:
                row += [fits.get(place), ", ".join(remarks.get(place, []))]
            rows.append(row)
    head = ["residue", "atoms without H", "mean B / A^2"]
    return table([*head, "map correlation", "remarks"] if validation else head, rows)


def button(name: str, centre: list[float]) -> Markup:
    """Button that moves the view to a point, Cartesian, A."""
    at = ",".join(f"{x:.2f}" for x in centre)
    return Markup(f'<button type="button" data-centre="{at}">{escape(name)}</button>')


def _remarks(validation: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """What is unusual about residues."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, text in _unusual(validation):
        found.setdefault(place, []).append(text)
    return found


def _unusual(validation: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for kind, text in (("ramachandran", "Ramachandran outlier"), ("rotamers", "rotamer outlier")):
        for entry in (validation.get(kind) or {}).get("outliers", []):
            yield (entry["chain"], entry["residue"]), text
    for kind in ("bonds", "angles"):
        for entry in (validation.get(kind) or {}).get("outliers", []):
            yield (entry["chain"], entry["residue"]), f"{kind[:-1]} {entry['atoms']}"
    for entry in (validation.get("clashes") or {}).get("list", []):
        for one, other in (("first", "second"), ("second", "first")):
            place = (entry[one]["chain"], entry[one]["residue"])
            yield place, f"{entry[one]['atom']} clashes with {_atom(entry[other])}"


def _atom(entry: Mapping[str, Any]) -> str:
    return f"{entry['chain']} {entry['residue']} {entry['name']} {entry['atom']}"


def _geometry(validation: Mapping[str, Any]) -> str:
    rows: list[list[object]] = []
    for kind, unit in (("bonds", "A"), ("angles", "degrees")):
        entry = validation.get(kind) or {}
        if entry.get("n"):
            rows.append([f"rms deviation of {kind} / {unit}", f"{entry['rms']:.3g}", entry["n"]])
    for kind, name in (
        ("ramachandran", "Ramachandran favoured"),
        ("rotamers", "rotamers favoured"),
    ):
        entry = validation.get(kind) or {}
        if entry.get("n"):
            rows.append([name, f"{100 * entry['favoured_fraction']:.0f} %", entry["n"]])
    clashes = validation.get("clashes") or {}
    if clashes:
        rows.append(["clashes", clashes["n"], ""])
    if not rows:
        return ""
    return table(["geometry", "", "of"], rows) + (
        "<p>Of Ramachandran angles and rotamers, each alternative conformer counts.</p>"
    )


def _peaks(validation: Mapping[str, Any]) -> str:
    peaks = validation.get("difference_peaks") or {}
    rows: list[list[object]] = []
    for peak in peaks.get("list", [])[:_MOST_PEAKS]:
        near = peak.get("nearest")
        where = f"{peak['distance']:.1f} A from {_atom(near)}" if near else ""
        rows.append([button(f"{peak['height']:+.1f} sigma", peak["xyz"]), where])
    if not rows:
        return ""
    caption = f"Difference density beyond {peaks['above_sigma']:g} sigma"
    return table(["mFo-DFc", "nearest atom"], rows, caption)
