"""Applicability of the sequence search: the size of the asymmetric unit."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.errors import NotApplicable
from crysformer.peptide.chain import letters_of, parse_chain
from crysformer.phasing.cell_content import CellContent
from crysformer.settings import setting


@dataclass(frozen=True)
class SequenceSizeSettings:
    """Sizes up to which the sequence search is tried; the `quick` ones can take minutes only."""

    max_residues: int = setting(30, "Residues in the asymmetric unit.", min=1, max=1000)
    quick_residues: int = setting(
        12, "Residues of each of two chains, or of several together.", min=1, max=1000
    )
    quick_single_chain: int = setting(
        30, "Residues of a single chain, which may start from a placed helix.", min=1, max=1000
    )
    quick_chains: int = setting(4, "Chains.", min=1, max=100)


class TooLarge(NotApplicable):
    """The sequence search does not apply to this crystal; the message says why."""


def check_size(
    content: CellContent, *, cheap: bool = False, settings: SequenceSizeSettings | None = None
) -> None:
    """Refuse crystals without a sequence or too large for the search.

    Parameters
    ----------
    content
        Sequences and copies.
    cheap
        Refuse those as well that are hardly ever solved within minutes.
    settings
        Limits of size.

    Raises
    ------
    TooLarge
        If there is no sequence, or too much of it, or a residue without a model.
    """
    s = settings or SequenceSizeSettings()
    if not content.sequences:
        raise TooLarge("it needs `sequence`, and none is given")
    unmodelled = [name for s in content.sequences for name in parse_chain(s).unmodelled]
    if unmodelled:
        raise TooLarge(
            f"the sequence search has no model of {', '.join(dict.fromkeys(unmodelled))}"
        )
    lengths = [len(letters_of(sequence)) for sequence in content.sequences]
    n_residues = content.copies * sum(lengths)
    n_chains = content.copies * len(content.sequences)
    longest = s.quick_single_chain if n_chains == 1 else s.quick_residues
    many = n_chains > 2 and (n_chains > s.quick_chains or n_residues > s.quick_residues)
    if cheap and (max(lengths) > longest or many):
        raise TooLarge(
            f"it is tried for one chain of up to {s.quick_single_chain} residues, two of "
            f"{s.quick_residues}, or {s.quick_chains} of so many together; ask for it by name"
        )
    if n_residues > s.max_residues:
        raise TooLarge(
            f"{n_residues} residues in the asymmetric unit, more than the {s.max_residues} that "
            "the sequence search can place"
        )
