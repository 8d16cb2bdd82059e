"""Applicability of the fragment search, and the ideal fragments to search with."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide.chain import letters_of
from crysformer.peptide.secondary_structure import Fragment, ideal_fragment
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.ladders import ladder_fragments
from crysformer.settings import setting

VOLUME_PER_ATOM = 20.0
"""A^3, solvent included, where the content is not known."""


@dataclass(frozen=True)
class FragmentChoiceSettings:
    """Crystals to which the fragment search applies, and the fragments it places."""

    max_d_min: float = setting(
        1.3,
        "Resolution needed to complete a structure from a small part of it.",
        unit="A",
        min=0.5,
        max=3.0,
    )
    helix_lengths: tuple[int, ...] = setting(
        (18, 12, 8), "Residues of the ideal helices, longest first.", min=4, max=60
    )
    strand_length: int = setting(
        6, "Residues of the ideal strand, placed before the last helix.", min=3, max=20
    )
    ladders: int = setting(
        80, "Two-strand ladders of the library to try, commonest first.", min=0, max=1000
    )
    ladders_together: int = setting(
        8, "Ladders whose orientations compete, before the next ones are tried.", min=1, max=1000
    )
    ladder_residues: int = setting(
        4, "Residues of a chain from which ladders of its strands are tried.", min=3, max=60
    )
    unknown_length: int = setting(
        12, "Residues assumed for a chain without a sequence.", min=1, max=60
    )


def check_atomic_resolution(data: CrystalData, max_d_min: float) -> None:
    """Refuse crystals in which a small part of a structure is not enough to find the rest.

    Parameters
    ----------
    data
        The crystal.
    max_d_min
        Resolution that is needed, A.

    Raises
    ------
    NotApplicable
        If the resolution is too low, the crystal centrosymmetric, or its space group not known.
    """
    if not data.space_group_known:
        raise NotApplicable("the space group is not known")
    if data.d_min > max_d_min:
        raise NotApplicable(f"it needs data to {max_d_min:g} A, these end at {data.d_min:.2f}")
    if data.space_group.is_centrosymmetric():
        raise NotApplicable("the crystal holds both hands")


def fragments_for(
    content: CellContent,
    volume: float,
    n_operators: int,
    *,
    settings: FragmentChoiceSettings | None = None,
) -> list[tuple[Fragment, ...]]:
    """Fragments no longer than a chain and no larger than the asymmetric unit, in search order.

    Those of one tuple are placed together. The first group of ladders finds more than an ideal
    strand, and comes before it.

    Parameters
    ----------
    content
        Sequences, and the number of atoms in the cell, where they are known.
    volume
        Volume of the cell, A^3.
    n_operators
        Number of operators of the space group.
    settings
        Lengths of the fragments.
    """
    settings = settings or FragmentChoiceSettings()
    longest = max((len(letters_of(s)) for s in content.sequences), default=settings.unknown_length)
    n_atoms = (content.n_atoms or volume / VOLUME_PER_ATOM) / n_operators
    order = [("helix", n) for n in settings.helix_lengths]
    strand = max(0, len(order) - 1)
    order.insert(strand, ("strand", settings.strand_length))
    library = ladder_fragments()[: settings.ladders if longest >= settings.ladder_residues else 0]
    size = settings.ladders_together
    groups = [library[i : i + size] for i in range(0, len(library), size)]
    fitting = [(kind, n) for kind, n in order if n <= longest]
    found: list[tuple[Fragment, ...]] = [(ideal_fragment(kind, n),) for kind, n in fitting]
    first = sum(n <= longest for _, n in order[:strand])
    found = [*found[:first], *groups[:1], *found[first:], *groups[1:]]
    return [several for several in found if len(several[0].xyz) <= n_atoms]


def check_fragments(
    data: CrystalData, content: CellContent, *, settings: FragmentChoiceSettings | None = None
) -> list[tuple[Fragment, ...]]:
    """Fragments to search with, as `fragments_for`.

    Raises
    ------
    NotApplicable
        If the resolution is too low, the crystal centrosymmetric, or the molecules too short.
    """
    settings = settings or FragmentChoiceSettings()
    check_atomic_resolution(data, settings.max_d_min)
    n_operators = len(data.space_group.operations())
    found = fragments_for(content, data.cell.volume, n_operators, settings=settings)
    if not found:
        least = min(settings.strand_length, settings.ladder_residues)
        raise NotApplicable(f"it needs chains of {least} residues or more")
    return found
