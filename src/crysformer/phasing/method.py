"""The interface of a phasing method, and the one list of all methods.

The solver, the command line, `crysformer evaluate`, the benchmarks and the documentation read
`METHODS`. A new method takes

1. a class of this shape in a room of its own (`TurnCounter` has the counters), and a line here;
2. a frozen dataclass of settings beside it, and a table of `SolveSettings`, if it has any;
3. a turn in `crysformer.phasing.strategy.auto`, or it only runs when asked for by name;
4. the room in the layers of the import contract in pyproject.toml, and a row in docs/phasing.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from crysformer.errors import UsageError

if TYPE_CHECKING:
    from crysformer.phasing.budget import Budget
    from crysformer.phasing.candidate import Candidate
    from crysformer.phasing.problem import PhasingProblem
    from crysformer.phasing.settings import SolveSettings

AUTO: Final = "auto"
"""Every method that applies, in the order of `crysformer.phasing.strategy`."""


class Method(Protocol):
    """One way to find phases of one crystal.

    The constructor is cheap and raises `NotApplicable` where the method cannot be used; `advance`
    does the work, a turn at a time, and may be called until `finished`.

    Parameters
    ----------
    problem
        The crystal.
    settings
        Settings of the solver; a method reads its own table.

    Attributes
    ----------
    name
        Value of `method` that selects it.
    unit
        Noun for what `tried` counts, in the plural.
    slow
        Reason why the method takes too long for this crystal to be tried in `auto`; or empty.
    tried, turns
        Attempts and turns so far, of all resumed runs together.
    finished
        True if a further turn would only repeat what was done.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    slow: str
    tried: int
    turns: int
    finished: bool

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        """Raise `NotApplicable` if the method does not apply to this crystal."""

    def advance(self, budget: Budget) -> list[Candidate]:
        """Continue the search until about `budget.until`; new candidates, perhaps none.

        Raises
        ------
        NotApplicable
            If the data turn out not to allow it; the method is not asked again.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Plain values that a resumed search continues from."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        ...


class TurnCounter:
    """Counters of a method, and their state: a base class for methods."""

    slow = ""

    def __init__(self) -> None:
        self.tried = 0
        self.turns = 0
        self.finished = False

    def state(self) -> dict[str, Any]:
        """The counters."""
        return {"tried": self.tried, "turns": self.turns, "finished": self.finished}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the counters."""
        self.tried, self.turns = int(state["tried"]), int(state["turns"])
        self.finished = bool(state["finished"])


METHODS: Final = {
    "charge-flipping": "crysformer.phasing.random_starts.method:ChargeFlipping",
    "raar": "crysformer.phasing.random_starts.method:Raar",
    "sulphurs": "crysformer.phasing.fragments.heavy_atom_method:Sulphurs",
    "fragments": "crysformer.phasing.fragments.method:Fragments",
    "sequence": "crysformer.phasing.sequence_search.method:SequenceSearch",
    "network": "crysformer.phasing.network.method:Network",
}
"""Class of each method by name, loaded on first use."""


def check_method(name: str) -> None:
    """Refuse a name that is neither ``auto`` nor a method.

    Raises
    ------
    UsageError
        With the names that there are.
    """
    if name != AUTO and name not in METHODS:
        expected = ", ".join((AUTO, *METHODS))
        raise UsageError(f"`method` is {name!r}: expected one of {expected}")


def method_class(name: str) -> type[Method]:
    """Class of a method of `METHODS`."""
    module, _, attribute = METHODS[name].partition(":")
    found: type[Method] = getattr(importlib.import_module(module), attribute)
    return found
