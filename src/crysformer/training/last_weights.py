"""State that a run returns to when its loss is no longer finite."""

from __future__ import annotations

from crysformer.errors import CrysformerError
from crysformer.signals import uninterrupted
from crysformer.training.faults import Snapshot
from crysformer.training.learner import Learner

#: Returns before the run is given up.
_MAX_RETURNS = 3


class LastWeights:
    """Weights, averages and optimiser as they were when last written, and the way back to them.

    Parameters
    ----------
    learner
        The parts of the run that a step changes.

    Attributes
    ----------
    step, examples
        Steps and training examples done by then.
    returns
        Number of returns; each halves the learning rate.
    """

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.returns = 0
        self.mark(0)

    def mark(self, examples: int) -> None:
        """Remember the present state, after so many training examples."""
        learner = self._learner
        self._snapshot = Snapshot(learner.model, learner.averaged, learner.optimizer)
        self.written(examples)

    def written(self, examples: int) -> None:
        """Count the present state as written, without remembering it."""
        self.step, self.examples = self._learner.step, examples

    def restore(self, run: str, what: str) -> int:
        """Go back.

        Parameters
        ----------
        run, what
            Name of the run and what is wrong, for the message.

        Returns
        -------
        int
            Training examples done by the state returned to.

        Raises
        ------
        CrysformerError
            If that has not helped before.
        """
        if self.returns == _MAX_RETURNS:
            raise CrysformerError(f"{run}: {what}; resume with a lower learning_rate")
        with uninterrupted():
            self.returns += 1
            self._snapshot.restore()
            self._learner.step = self.step
        return self.examples
