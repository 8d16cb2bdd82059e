"""Start of building with the sequence that the atoms of the crystal propose."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from crysformer.building.proposed_sequence.proposal import PROPOSED, propose_sequence
from crysformer.building.settings import BuildSettings
from crysformer.building.start import Start, atoms_of_start
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.sequence_file import Chains, sequences_of
from crysformer.phasing.cell_content import cell_content


def with_proposed_sequence(
    data: CrystalData,
    start: Start,
    summary: dict[str, Any] | None,
    copies: int | None,
    time_limit: float,
) -> tuple[Start, tuple[str, ...], dict[str, Any]]:
    """Propose a sequence from the atoms of a start, or from atoms found in its map.

    Parameters
    ----------
    data
        The crystal.
    start
        With atoms or map coefficients.
    summary
        Content of the summary.json of the solution, or None.
    copies
        Copies that were stated; a proposal has its own.
    time_limit
        Seconds of building, of which a part may be spent on finding atoms.

    Returns
    -------
    (start, sequences, summary)
        The start with its atoms; one copy of each chain; the summary with ``proposed_sequence``.

    Raises
    ------
    InputError
        If copies are stated, the resolution is too low, or the atoms show no main chain.
    """
    if copies is not None:
        raise InputError(
            f"{data.source}: a proposed sequence has its own copies; leave out `copies`"
        )
    settings, deadline = BuildSettings(), time.monotonic() + time_limit
    atoms = atoms_of_start(data, start, cell_content(data), settings, deadline)
    proposed = None if atoms is None else propose_sequence(atoms, data.d_min)
    if proposed is None:
        raise InputError(
            f"{data.source}: no sequence can be proposed at {data.d_min:.2f} A: the map shows no "
            "main chain of resolved atoms (1.2 A or better); pass `sequence`"
        )
    sequences: tuple[str, ...] = Chains(str(chain.chain) for chain in proposed.chains)
    found = {**(summary or {}), PROPOSED: proposed.to_summary()}
    return replace(start, atoms=atoms), sequences_of(sequences), found
