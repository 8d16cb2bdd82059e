"""Reading SHELX .hkl files with the instructions that belong to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crysformer.crystal.io.hkl_records import HklList, read_hkl_list
from crysformer.crystal.io.hklf_transform import HklfTransform, transform_indices
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.io.shelx_instructions import Instructions
from crysformer.errors import InputError


def read_hkl(
    text: str, instructions: Instructions, source: str, labin: str | None = None
) -> ReflectionTable:
    """Read a SHELX reflection list: HKLF 4 (F^2) or HKLF 3 (F).

    The file itself does not say which of the two it is. The HKLF instruction decides, else `labin`
    (``F,SIGF`` or ``I,SIGI``), else HKLF 4 is taken. CELL, LATT and SYMM give the unit cell and
    space group; the matrix and scales of HKLF are applied. Batch numbers of 1 and -1 are free
    flags.

    Parameters
    ----------
    text
        The file's content, as `read_hkl_list` reads it.
    instructions
        Those that belong to the data (`instructions_beside`).
    source
        What to call it in messages.
    labin
        The user's choice of columns.

    Raises
    ------
    InputError
        If a line cannot be read, if HKLF is neither 3 nor 4, or if the list is one of twin domains.
    """
    listed = read_hkl_list(text, source)
    notes = []
    if instructions.name:
        notes.append(f"cell and symmetry are looked up in {instructions.name}")
    hklf = instructions.hklf
    if labin is not None:
        hklf = 3 if labin.split(",")[0].split("=")[-1].strip().startswith("F") else 4
    elif hklf is None:
        hklf = 4
        notes.append("taken as HKLF 4 (intensities); for amplitudes (HKLF 3) give `labin` F,SIGF")
    if hklf not in (3, 4):
        raise InputError(
            f"{source}: HKLF {hklf} in {instructions.name} (twinned or unusual data), expected "
            "HKLF 3 or 4"
        )
    free, numbered = _batches(listed, source)
    hkl, keep, transformed = transform_indices(listed.hkl, instructions.transform, source)
    columns = _columns(listed, hklf, instructions.transform)
    return ReflectionTable(
        source=source,
        hkl=hkl,
        columns=tuple(replace(c, values=c.values[keep]) for c in (*columns, *free)),
        cell=instructions.cell,
        space_group=instructions.space_group,
        notes=(*notes, *listed.notes, *numbered, *transformed),
        wavelength=instructions.wavelength,
    )


def _columns(listed: HklList, hklf: int, transform: HklfTransform) -> list[Column]:
    """Value and uncertainty, or those of both Friedel mates, on the scale of HKLF."""
    name, mean, mate, sigma = ("F", "F", "G", "L") if hklf == 3 else ("I", "J", "K", "M")
    scale, wide = transform.scale, transform.scale * transform.sigma_scale
    if listed.mates is None:
        columns = [Column(name, mean, listed.values * scale)]
        if np.isfinite(listed.sigmas).any():
            return [*columns, Column(f"SIG{name}", "Q", listed.sigmas * wide)]
        # an uncertainty of zero: it is unknown, and the list is to be read all the same
        return [*columns, Column(f"SIG{name}", "Q", np.zeros(len(listed.values)))]
    minus, sig_minus = listed.mates.T
    return [
        Column(f"{name}(+)", mate, listed.values * scale),
        Column(f"SIG{name}(+)", sigma, listed.sigmas * wide),
        Column(f"{name}(-)", mate, minus * scale),
        Column(f"SIG{name}(-)", sigma, sig_minus * wide),
    ]


def _batches(listed: HklList, source: str) -> tuple[list[Column], list[str]]:
    """Free flags that batch numbers mark, and notes; a list of twin domains is refused.

    In HKLF 5 all reflections of an overlap but the last have negative numbers of their domain.
    With two domains a 2 or -2 occurs; -1 beside 1 alone marks the free set.
    """
    numbers = set() if listed.batches is None else set(listed.batches.tolist()) - {0}
    if listed.batches is not None and min(numbers, default=0) < 0:
        if numbers <= {1, -1}:
            free = np.where(listed.batches < 0, 0.0, 1.0)
            return [Column("FREE", "I", free)], ["batch number -1 marks the free set"]
        raise InputError(
            f"{source}: negative batch numbers in columns 29 to 32 ({min(numbers)} to "
            f"{max(numbers)}) mean HKLF 5, overlapping reflections of twin domains; expected HKLF "
            "4: give the detwinned reflections or those of one domain"
        )
    if len(numbers) > 1:
        return [], [
            f"{len(numbers)} batch numbers ({min(numbers)} to {max(numbers)}) are taken as one "
            "scale; if they number twin domains (HKLF 5), give the reflections of one of them"
        ]
    return [], []
