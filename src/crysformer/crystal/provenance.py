"""Description of measured data that belongs to them in every file: title, history and names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Description of the measured data, as far as their file has one.

    Attributes
    ----------
    title
        In one line.
    history
        Lines on earlier processing, latest first.
    project, crystal, data_set
        Names in the hierarchy of MTZ files.
    """

    title: str = ""
    history: tuple[str, ...] = ()
    project: str = ""
    crystal: str = ""
    data_set: str = ""
