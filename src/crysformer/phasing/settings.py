"""Every setting of the solver, grouped by method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crysformer.errors import InputError, UsageError
from crysformer.phasing.atoms.atomic_candidates import AtomSettings
from crysformer.phasing.candidate_pool import PoolSettings
from crysformer.phasing.final_structure import FinalStructureSettings
from crysformer.phasing.fragments.heavy_atom_method import SulphurSettings
from crysformer.phasing.fragments.settings import FragmentSettings
from crysformer.phasing.network.method import NetworkSettings
from crysformer.phasing.random_starts.method import (
    ChargeFlippingSettings,
    RaarSettings,
    RandomStartSettings,
)
from crysformer.phasing.sequence_search.settings import SequenceSettings
from crysformer.phasing.sequence_support.support import SupportSettings
from crysformer.phasing.strategy import StrategySettings
from crysformer.settings import read_toml, table, to_toml, updated


@dataclass(frozen=True)
class SolveSettings:
    """Settings of `crysformer.solve`; each table belongs to the class that uses it.

    Attributes
    ----------
    strategy
        Order of the methods and their times.
    pool
        Candidates that are kept, and when the search ends.
    random_starts, charge_flipping, raar, atoms, sulphurs, fragments, sequence, network
        Of each method.
    final_structure
        Atoms and elements of a claimed solution.
    sequence_support
        Comparison of the sequence of a claimed model with others.
    """

    strategy: StrategySettings = table(
        StrategySettings, "Order of the methods in `auto`, and the time that each gets."
    )
    pool: PoolSettings = table(
        PoolSettings, "Candidates that are kept, and the confidence that ends the search."
    )
    random_starts: RandomStartSettings = table(
        RandomStartSettings, "Batches of random starts, for charge flipping and RAAR."
    )
    charge_flipping: ChargeFlippingSettings = table(ChargeFlippingSettings, "Charge flipping.")
    raar: RaarSettings = table(RaarSettings, "Relaxed averaged alternating reflections.")
    atoms: AtomSettings = table(AtomSettings, "Atoms refined from promising candidates.")
    sulphurs: SulphurSettings = table(SulphurSettings, "Sulphur atoms as a start.")
    fragments: FragmentSettings = table(FragmentSettings, "Ideal helices and strands.")
    sequence: SequenceSettings = table(SequenceSettings, "Search with the sequence.")
    network: NetworkSettings = table(NetworkSettings, "The network as a method.")
    final_structure: FinalStructureSettings = table(
        FinalStructureSettings, "Atoms and elements of a claimed solution, at atomic resolution."
    )
    sequence_support: SupportSettings = table(
        SupportSettings, "Comparison of the sequence of a claimed model with others."
    )

    @classmethod
    def read(cls, path: str | Path) -> SolveSettings:
        """Read a TOML file; settings that it leaves out have their defaults.

        Raises
        ------
        InputError
            If the file cannot be read or is not TOML.
        UsageError
            If a setting is unknown, of the wrong type or out of range.
        """
        values = read_toml(path)
        try:
            return updated(cls(), values, str(path))
        except InputError as error:
            raise UsageError(str(error)) from error

    def to_toml(self) -> str:
        """The settings as TOML, with their meanings, units and ranges as comments."""
        return to_toml(self)
