"""What to try next for a crystal that was not solved, from the figures of its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Resolution beyond which phasing without the sequence rarely works, A.
_ATOMIC = 1.2
#: Resolution beyond which nothing here solves real crystals, A (docs/limits.md).
_COARSE = 2.5
#: Completeness below which missing reflections are named.
_COMPLETE = 0.9


def advice(summary: Mapping[str, Any]) -> list[str]:
    """Suggestions for an unsolved crystal, the most useful first.

    Parameters
    ----------
    summary
        Content of ``summary.json``.

    Returns
    -------
    list of str
        One sentence or two each, parameters of `crysformer.solve` in backticks; empty for a solved
        crystal.
    """
    if summary["solved"]:
        return []
    data = summary.get("data") or {}
    given = summary.get("input") or {}
    d_min = data.get("d_min")
    sequence = given.get("sequence")
    found = []
    if sequence is not None and not sequence and d_min is not None and d_min > _ATOMIC:
        found.append(
            f"Give the sequence, with `sequence`: without it, data to {d_min:.1f} A are rarely "
            "enough."
        )
    elif sequence is not None and not sequence:
        found.append("Give the sequence with `sequence`, if it is known: some methods need it.")
    found.append(
        "Search longer: the same command with `resume` goes on for as long again, or for the "
        "seconds of `time_limit`. Peptides of six residues or more need minutes. A search with "
        "another `seed`, into another folder, makes other starts."
    )
    completeness = (data.get("completeness") or {}).get("overall")
    if completeness is not None and completeness < _COMPLETE:
        found.append(
            f"Complete the data: {100 * completeness:.0f} % of the possible reflections are "
            "measured. Merge further crystals, or cut the resolution where shells are empty."
        )
    if summary.get("space_group") not in (None, "P 1"):
        found.append(
            "Doubt the space group: `find_space_group` relies on the Laue class alone. "
            "If merging assumed too high a symmetry, merge the data again in P 1."
        )
    if data.get("radiation") == "xray" and data.get("wavelength") is None:
        found.append("If the data are of electron diffraction, say so with `radiation` electron.")
    if d_min is not None and d_min > _COARSE:
        found.append(
            f"Expect little: data that end at {d_min:.1f} A are beyond what these methods solve, "
            "except for very short peptides of known sequence."
        )
    if data.get("warnings"):
        found.append("See to the warnings under Data: a method may rest on what they doubt.")
    return found
