"""Training and validation batches of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from crysformer.data.examples.data_augmentation import measured_batch
from crysformer.data.examples.stream import Batch, ExampleStream
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentStore, FragmentTable, Split
from crysformer.data.synthetic.subfragments import fitted_recipe, subfragments
from crysformer.errors import InputError
from crysformer.training.config import TrainingConfig
from crysformer.training.processes import ALONE, Processes
from crysformer.training.validation import validation_batches


def check_fits(store: FragmentStore, config: TrainingConfig) -> None:
    """Refuse a data set that the network cannot learn from.

    Fragments longer than the network's sequences are cut into subfragments in cells fitted to
    them; scaling constants are known for whole fragments only.

    Raises
    ------
    InputError
        If the fragments are too short, or too long for constants.
    """
    found, wanted = store.recipe.n_residues, config.model.n_residues
    if found < wanted or (found > wanted and config.model.scaling == "constant"):
        raise InputError(
            f"{store.folder}: fragments of {found} residues, the network takes {wanted}; choose "
            "the preset for this data set"
        )


class TrainingData:
    """Training and validation examples of a data set for one network.

    Parameters
    ----------
    config
        Network and batches.
    store
        The data set.
    device
        Device that generates the examples.
    processes
        Processes that share every batch.

    Attributes
    ----------
    epoch
        Number of training fragments, from the first `stream` on.
    """

    epoch: int

    def __init__(
        self,
        config: TrainingConfig,
        store: FragmentStore,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        processes.check_shares(config.batch_size)
        self._config, self._store, self._device = config, store, device
        self._processes = processes
        n_residues = config.model.n_residues
        self._cut = store.recipe.n_residues != n_residues
        recipe = fitted_recipe(n_residues) if self._cut else store.recipe
        self._recipe: Recipe = dataclasses.replace(recipe, sample_rate=config.model.sample_rate)

    def _table(self, split: Split) -> FragmentTable:
        table = self._store.table(split)
        if not len(table):
            raise InputError(
                f"{self._store.folder}: no {split} fragments, which training needs; build a data "
                "set of more entries"
            )
        return subfragments(table, self._config.model.n_residues) if self._cut else table

    def stream(self) -> ExampleStream:
        """Stream this process's part of endless batches, exact and complete."""
        c, processes = self._config, self._processes
        table = self._table("train")
        self.epoch = len(table)
        return ExampleStream(
            table, self._recipe, c.batch_size, self._device,
            c.rotate, c.seed, c.model.d_min, c.model.patch,
            c.static_grids, part=processes.rank, parts=processes.size,
        )  # fmt: skip

    def validation(self, n: int, part: int = 0, parts: int = 1) -> list[Batch]:
        """Make `n` exact examples spread evenly over the validation split, or a part of them."""
        return validation_batches(
            self._table("validation"), self._recipe, self._config.model.patch, n, self._device,
            part, parts,
        )  # fmt: skip

    def measured(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Simulate imperfect measurements of the batch, if the network is trained on such data."""
        c = self._config
        if not c.model.conditions:
            return batch
        return measured_batch(batch, c.measured, c.model.d_min, c.model.b_iso, generator)

    def all_measured(self, batches: Sequence[Batch]) -> list[Batch]:
        """Simulate the same imperfections every time; empty for networks trained on exact data."""
        if not self._config.model.conditions:
            return []
        # On the CPU, so that validation is on the same data whatever the device.
        generator = torch.Generator().manual_seed(0)
        return [self.measured(batch, generator) for batch in batches]
