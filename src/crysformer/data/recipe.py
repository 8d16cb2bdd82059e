"""Constants of the two data recipes of the paper."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """Constants of the crystals made from fragments of protein chains.

    Attributes
    ----------
    name
        Name on the command line.
    n_residues
        Residues in a fragment.
    train_stride, test_stride
        Distance between the starts of successive fragments of one unbroken segment of chain, in
        residues, for the training split and for the validation and test splits.
    fixed_cell
        Cell edges a >= b >= c in A, or None for cells fitted to each fragment.
    min_edge
        Smallest starting edge of a fitted cell, A.
    edge_step
        Step by which all three edges of a fitted cell grow together, A.
    min_contact
        Smallest allowed distance between atoms of different lattice copies, A.
    d_min
        Resolution of the structure factors, A.
    sample_rate
        Grid points per `d_min`: the spacing is at most ``d_min / sample_rate``.
    b_iso
        Displacement parameter of every atom, A^2.

    References
    ----------
    Dun et al., arXiv:2310.03899, section 4 and appendix B.
    """

    name: str
    n_residues: int
    train_stride: int
    test_stride: int
    fixed_cell: tuple[float, float, float] | None = None
    min_edge: float = 2.0
    edge_step: float = 0.25
    min_contact: float = 2.75
    d_min: float = 1.5
    sample_rate: float = 3.0
    b_iso: float = 20.0

    def stride(self, split: str) -> int:
        """Distance between fragment starts in `split`, residues."""
        return self.train_stride if split == "train" else self.test_stride


DIPEPTIDE = Recipe("dipeptide", n_residues=2, train_stride=1, test_stride=2)
FIFTEEN = Recipe(
    "fifteen", n_residues=15, train_stride=12, test_stride=12, fixed_cell=(41.0, 30.0, 24.0)
)
RECIPES = {recipe.name: recipe for recipe in (DIPEPTIDE, FIFTEEN)}


def recipe_by_name(name: str) -> Recipe:
    """Look a recipe up by its command-line name.

    Raises
    ------
    UsageError
        If there is no such recipe.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}; expected one of: {', '.join(RECIPES)}")
    return RECIPES[name]
