"""How much of a sequence the search can place."""

from __future__ import annotations

from crysformer.errors import NotApplicable
from crysformer.peptide.chain import letters_of
from crysformer.phasing.cell_content import CellContent

# Residues in the asymmetric unit up to which the search is tried.
_MAX_RESIDUES = 30
# Of those, what may be solved within minutes; a chain alone may start from a placed helix.
_CHEAP_LENGTH, _CHEAP_ALONE = 12, _MAX_RESIDUES
_CHEAP_CHAINS = 4  # of `_CHEAP_LENGTH` together; two may have it each


class TooLarge(NotApplicable):
    """The sequence search does not apply to this crystal; the message says why."""


def check_size(content: CellContent, *, cheap: bool = False) -> None:
    """Refuse what the search cannot do or, if `cheap`, what it hardly ever does in minutes.

    Raises
    ------
    TooLarge
        If there is no sequence, or too much of it.
    """
    if not content.sequences:
        raise TooLarge("the sequence search needs the sequence")
    lengths = [len(letters_of(sequence)) for sequence in content.sequences]
    n_residues = content.copies * sum(lengths)
    n_chains = content.copies * len(content.sequences)
    longest = max(lengths)
    many = n_chains > 2 and (n_chains > _CHEAP_CHAINS or n_residues > _CHEAP_LENGTH)
    if cheap and (longest > (_CHEAP_ALONE if n_chains == 1 else _CHEAP_LENGTH) or many):
        raise TooLarge(
            f"it is tried for one chain of up to {_CHEAP_ALONE} residues, two of {_CHEAP_LENGTH}, "
            f"or {_CHEAP_CHAINS} of so many together; ask for it by name"
        )
    if n_residues > _MAX_RESIDUES:
        raise TooLarge(
            f"{n_residues} residues in the asymmetric unit, more than the {_MAX_RESIDUES} that the "
            "sequence search can place"
        )
