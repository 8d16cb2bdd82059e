"""Sequence of a crystal proposed from its atoms, with the probability of every residue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from crysformer.building.proposed_sequence.backbones import main_chains
from crysformer.building.proposed_sequence.likelihood import (
    LikelihoodRules,
    MainChainErrors,
    ProposalSettings,
)
from crysformer.building.starting_model.backbone_threading import (
    Site,
    ThreadedChain,
    acetyl_group,
)
from crysformer.building.starting_model.bond_graph import BondGraph
from crysformer.building.starting_model.side_chain_match import match_side_chain, side_chain_graph
from crysformer.peptide import ideal_geometry
from crysformer.peptide.chain import MODIFIED, Chain
from crysformer.peptide.residues import CODES
from crysformer.phasing.atoms.atomic_structure import AtomicStructure

#: Entry of summary.json.
PROPOSED: Final = "proposed_sequence"
#: Chains with this fraction of the shorter one's letters in the same places are of one sequence.
_ALIKE: Final = 0.5
_LEAST_OF_PART: Final = 3  # such letters of a chain that is shorter than the other
_LISTED: Final = 0.01  # probability of letters that the summary lists
_AMIDE_NITROGEN: Final = 7
_MAIN_CHAIN: Final = (7, 6, 6, 8)  # atomic numbers of N, CA, C and O


@dataclass(frozen=True, eq=False)
class ProposedChain:
    """Sequence of one kind of chain.

    Attributes
    ----------
    chain
        Its likeliest letters, D residues and ends.
    probability
        Of each letter of each residue, X for a residue that is none of the twenty.
    copies
        Chains in the asymmetric unit whose atoms were taken together.
    """

    chain: Chain
    probability: tuple[dict[str, float], ...]
    copies: int

    @property
    def of_letters(self) -> tuple[float, ...]:
        """Probability of each of the likeliest letters."""
        letters = self.chain.letters
        return tuple(p[letter] for p, letter in zip(self.probability, letters, strict=True))

    def to_summary(self) -> dict[str, Any]:
        """Plain values for summary.json."""
        return {
            "sequence": str(self.chain),
            "copies": self.copies,
            "probability": [round(p, 3) for p in self.of_letters],
            "letters": [
                {letter: round(p, 3) for letter, p in found.items() if p >= _LISTED}
                for found in self.probability
            ],
        }


@dataclass(frozen=True, eq=False)
class ProposedSequence:
    """Sequence proposed from atoms.

    Attributes
    ----------
    chains
        Kinds of chains, those with the most residues first.
    inverted
        Whether most alpha carbons are D, so that the atoms are of the other hand.
    """

    chains: tuple[ProposedChain, ...]
    inverted: bool

    @property
    def sequence(self) -> str:
        """The chains as `sequence` of `crysformer.build` takes them."""
        return ",".join(str(chain.chain) for chain in self.chains)

    def to_summary(self) -> dict[str, Any]:
        """The entry ``proposed_sequence`` of summary.json."""
        return {
            "sequence": self.sequence,
            "inverted": self.inverted,
            "chains": [chain.to_summary() for chain in self.chains],
        }


def proposal_line(summary: Mapping[str, Any]) -> str:
    """The entry ``proposed_sequence`` of summary.json in one line."""
    found = []
    for chain in summary["chains"]:
        sure = np.prod(chain["probability"]) if chain["probability"] else 0.0
        text = f"{chain['sequence']} (probability {sure:.2f}"
        doubtful = [
            f"{i} " + " or ".join(f"{letter} {p:.2f}" for letter, p in letters.items())
            for i, letters in enumerate(chain["letters"], start=1)
            if len(letters) > 1
        ]
        found.append(text + (f"; {', '.join(doubtful)})" if doubtful else ")"))
    hand = "; the atoms are of the other hand" if summary["inverted"] else ""
    return f"proposed sequence: {', '.join(found)}{hand}"


def propose_sequence(
    atoms: AtomicStructure, d_min: float, settings: ProposalSettings | None = None
) -> ProposedSequence | None:
    """Recognise the residues of a crystal in its atoms.

    Main chains are paths of N-CA-C(=O) units; each side chain is compared with those of the twenty
    residues by its bonds, elements, bond lengths and hydrogen bonds. Chains that are alike are
    taken as copies of one sequence, and parts of it where the atoms break off.

    Parameters
    ----------
    atoms
        Atoms with elements of one asymmetric unit.
    d_min
        Resolution, A.
    settings
        Probabilities.

    Returns
    -------
    ProposedSequence or None
        None beyond the resolution for it, or without any main chain.
    """
    settings = settings or ProposalSettings()
    if d_min > settings.d_min or not len(atoms):
        return None
    graph = BondGraph.of(atoms)
    paths = main_chains(graph)
    if not paths:
        return None
    reader = _Reader(graph, paths, d_min, settings)
    read = [reader.read(path) for path in paths]
    inverted = sum(chain.turned for chain in read) > 0
    kinds: list[_Kind] = []
    for chain in sorted(read, key=lambda chain: -len(chain.scores)):
        if not any(kind.takes(chain) for kind in kinds):
            kinds.append(_Kind([(0, chain)]))
    return ProposedSequence(tuple(_proposed(kind, inverted, settings) for kind in kinds), inverted)


@dataclass(frozen=True, eq=False)
class _ReadChain:
    """Log likelihoods of a chain: of each letter, of L less D, of its ends."""

    scores: list[dict[str, float]]
    hand: list[float]
    acetyl: bool
    amide: float

    @property
    def turned(self) -> int:
        """D residues less L residues."""
        return -sum(int(np.sign(x)) for x in self.hand)

    @property
    def letters(self) -> str:
        """The likeliest letters."""
        return _likeliest(self.scores)

    def covers(self, place: int) -> bool:
        """Whether it has a residue at a place."""
        return 0 <= place < len(self.scores)


@dataclass(frozen=True, eq=False)
class _Kind:
    """Chains of one sequence: the first is whole; each has the place where it begins in it."""

    chains: list[tuple[int, _ReadChain]]

    def __len__(self) -> int:
        return len(self.chains[0][1].scores)

    @property
    def scores(self) -> list[dict[str, float]]:
        """Log likelihoods of each letter of each residue, of all chains that have it together."""
        return [
            {
                letter: sum(c.scores[i - at][letter] for at, c in self.chains if c.covers(i - at))
                for letter in CODES
            }
            for i in range(len(self))
        ]

    def takes(self, chain: _ReadChain) -> bool:
        """Add a chain if it is a copy, or where the atoms of another one break off, a part."""
        own, other = _likeliest(self.scores), chain.letters
        same = [
            sum(a == b for a, b in zip(own[at:], other, strict=False))
            for at in range(len(own) - len(other) + 1)
        ]
        least = _ALIKE * len(other)
        if len(other) < len(own):
            least = max(least, _LEAST_OF_PART)
        if max(same) < least:
            return False
        self.chains.append((same.index(max(same)), chain))
        return True


def _likeliest(scores: Sequence[Mapping[str, float]]) -> str:
    return "".join(max(s, key=lambda letter: s[letter]) for s in scores)


class _Reader:
    """Reads the residues along main chains."""

    def __init__(
        self,
        graph: BondGraph,
        paths: Sequence[Sequence[Site]],
        d_min: float,
        settings: ProposalSettings,
    ) -> None:
        self.graph, self.settings = graph, settings
        sites = [site for path in paths for site in path]
        donors = frozenset(site.n for path in paths for site in path[1:])
        acceptors = frozenset(site.o for site in sites)
        true = {row: z for s in sites for row, z in zip(_rows(s), _MAIN_CHAIN, strict=True)}
        bonds = [
            bond
            for s in sites
            for bond in (
                (s.n, s.alpha, ideal_geometry.N_CA),
                (s.alpha, s.c, ideal_geometry.CA_C),
                (s.c, s.o, ideal_geometry.C_O),
            )
        ]
        errors = MainChainErrors(graph, true, bonds, d_min, settings)
        self.rules = {
            letter: LikelihoodRules(letter, graph, errors, donors, acceptors, settings)
            for letter in CODES
        }
        main = {row for site in sites for row in _rows(site)}
        self.free = frozenset(range(len(graph.atoms))) - main

    def read(self, path: Sequence[Site]) -> _ReadChain:
        """Compare all letters at each residue of a main chain."""
        scores, hands = [], []
        rows = []
        for i, site in enumerate(path):
            found = {letter: self._score(site, letter, i == 0) for letter in CODES}
            best = max(found, key=lambda letter: found[letter][0])
            scores.append({letter: score for letter, (score, _) in found.items()})
            hands.append(self._hand(site, found[best][1]))
            own = {"N": site.n, "CA": site.alpha, "C": site.c, "O": site.o}
            rows.append(own | found[best][1])
        threaded = ThreadedChain(Chain("A" * len(path)), 0, tuple(rows), 1.0)
        acetyl = bool(acetyl_group(self.graph, threaded, self.free))
        return _ReadChain(scores, hands, acetyl, self._amide(path[-1]))

    def _score(self, site: Site, letter: str, first: bool) -> tuple[float, dict[str, int]]:
        score, rows = match_side_chain(
            self.graph, side_chain_graph(letter), site.alpha, site.n, site.c, self.free,
            self.rules[letter],
        )  # fmt: skip
        if letter != "P" or "CD" not in rows:
            # beyond proline, a third bond of N is one that the residue does not have
            carbons = [i for i in self.graph.neighbours[site.n] if i in self.free]
            inside = [i for i in carbons if i in set(rows.values())]
            score += self.settings.extra * (len(carbons) > 1 or (bool(carbons) and not first))
            score += self.settings.extra * bool(inside)
        return score, rows

    def _hand(self, site: Site, rows: Mapping[str, int]) -> float:
        """Chiral volume at CA, positive for L; zero without CB."""
        if "CB" not in rows:
            return 0.0
        arms = [self.graph.arm(site.alpha, i) for i in (site.n, site.c, rows["CB"])]
        return float(np.linalg.det(np.array(arms)))

    def _amide(self, site: Site) -> float:
        """Log likelihood of an amide less that of a carboxylate at the end of a chain."""
        others = [i for i in self.graph.neighbours[site.c] if i in self.free]
        if len(others) != 1:
            return -math.inf
        other, rules = others[0], self.rules["N"]
        acid, amide = 0.0, 0.0
        for row in (site.o, other):
            acid += rules.element(8, row) - rules.bond_misfit(ideal_geometry.C_OXT, row, site.c)
        best = []
        for oxygen, nitrogen in ((site.o, other), (other, site.o)):
            value = rules.element(8, oxygen) + rules.element(_AMIDE_NITROGEN, nitrogen)
            value -= rules.bond_misfit(ideal_geometry.C_O, oxygen, site.c)
            best.append(value - rules.bond_misfit(ideal_geometry.C_N, nitrogen, site.c))
        amide = max(best)
        return amide - acid


def _rows(site: Site) -> tuple[int, int, int, int]:
    """N, CA, C and O of a unit."""
    return site.n, site.alpha, site.c, site.o


def _proposed(kind: _Kind, inverted: bool, settings: ProposalSettings) -> ProposedChain:
    """The sequence of chains that are copies of each other."""
    probability, letters, d_residues = [], "", set()
    for i, scores in enumerate(kind.scores):
        here = [(chain, i - at) for at, chain in kind.chains if chain.covers(i - at)]
        total = {**scores, MODIFIED: settings.unknown * len(here)}
        most = max(total.values())
        weight = {letter: math.exp(value - most) for letter, value in total.items()}
        whole = sum(weight.values())
        ordered = sorted(weight, key=lambda letter: -weight[letter])
        probability.append({letter: weight[letter] / whole for letter in ordered})
        letters += ordered[0]
        hand = sum(chain.hand[place] for chain, place in here) * (-1 if inverted else 1)
        if hand < 0 and ordered[0] not in ("G", MODIFIED):
            d_residues.add(i)
    first = [chain for at, chain in kind.chains if at == 0]
    last = [chain for at, chain in kind.chains if at + len(chain.scores) == len(kind)]
    chain = Chain(
        letters,
        frozenset(d_residues),
        acetyl=sum(c.acetyl for c in first) * 2 > len(first),
        amide=sum(c.amide for c in last) > 0,
        modified=("UNK",) * letters.count(MODIFIED),
    )
    return ProposedChain(chain, tuple(probability), len(kind.chains))
