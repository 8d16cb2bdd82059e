"""Training examples generated on the fly: Patterson maps and densities from fragments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.atom_batch import AtomBatch
from crysformer.crystal.fourier.grids import (
    Shape,
    density_from_grid,
    grid_shape,
    patterson_from_grid,
)
from crysformer.crystal.fourier.orthogonal_cells import Limits, index_limits, orthogonal_grid
from crysformer.data.examples.fragment_tensors import FragmentTensors
from crysformer.data.examples.grid_groups import GridGroup, Grids
from crysformer.data.examples.random_draws import device_generator
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentTable
from crysformer.data.synthetic.fitted_cells import Cells, build_cells, image_contacts
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal
from crysformer.peptide.rotations import random_quaternions, rotation_matrices

__all__ = [
    "Batch",
    "ExampleStream",
    "SyntheticCrystal",
    "fixed_batches",
    "synthetic_crystal",
]

#: Edge of the patches that networks cut maps into; no grid needs padding for it.
PATCH = 4

#: Fragments drawn, rotated and sorted by grid at a time, and batches' worth of them at least.
_POOL, _POOL_BATCHES = 4096, 16


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples on one grid; all tensors on one device.

    Attributes
    ----------
    patterson
        Patterson maps without origin removal, F(000) absent, shape (B, 1, U, V, W), e^2/A^3.
    density
        Electron density, F(000) absent, centre of mass at the cell centre, shape
        (B, 1, U, V, W), e/A^3.
    residues
        The sequence, shape (B, J), int64, indices into ``residues.CODES``.
    lengths
        Cell edges, shape (B, 3), A.
    index
        Rows of the fragment table, shape (B,), int64.
    measured
        Reflections that were measured, half grid (B, U, V, W // 2 + 1); None if all were. The
        Patterson map holds expected intensities for the others.
    """

    patterson: Tensor
    density: Tensor
    residues: Tensor
    lengths: Tensor
    index: Tensor
    measured: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> Batch:
        """Copy the examples to another device."""
        moved: dict[str, Any] = {
            name: None if value is None else value.to(device) for name, value in vars(self).items()
        }
        return Batch(**moved)


def _make_batch(
    cells: Cells,
    number: Tensor,
    fragments: FragmentTensors,
    index: Tensor,
    recipe: Recipe,
    shape: Shape,
    d_min: float,
    limits: Limits,
) -> Batch:
    b_iso = torch.full_like(cells.xyz[..., 0], recipe.b_iso)
    atoms = AtomBatch(cells.frac, number, b_iso, (number > 0).to(b_iso.dtype))
    F = orthogonal_grid(atoms, cells.lengths, shape, d_min, limits, fragments.composition)
    volume = cells.lengths.prod(dim=1)
    return Batch(
        patterson=patterson_from_grid(F, shape, volume)[:, None],
        density=density_from_grid(F, shape, volume)[:, None],
        residues=fragments.codes[index],
        lengths=cells.lengths,
        index=index,
    )


def _grid_shapes(lengths: Tensor, recipe: Recipe, d_min: float, multiple_of: int) -> list[Shape]:
    return [grid_shape(edges, d_min, recipe.sample_rate, multiple_of) for edges in lengths.tolist()]


def _longest_edge(fragments: FragmentTensors, recipe: Recipe) -> float:
    """Upper bound of the cell edges, A, whatever the orientations."""
    if recipe.fixed_cell is not None:
        return max(recipe.fixed_cell)
    # No contact is too short once every edge is the extent and the shortest contact.
    return max(fragments.longest, recipe.min_edge) + recipe.min_contact + 2 * recipe.edge_step


def _shuffled(n: int, generator: torch.Generator) -> list[int]:
    if generator.device.type != "cpu":  # reading the device's numbers would mean to wait for it
        generator = torch.Generator().manual_seed(generator.initial_seed())
    return torch.randperm(n, generator=generator).tolist()


class ExampleStream:
    """Endless training batches, each of one grid shape.

    Fragments are drawn with replacement, rotated uniformly at random, and put into a cell built
    for that orientation. Examples whose grid shape has fewer than `batch_size` examples wait for
    the next pool, so every orientation is seen as often as it is drawn.

    Parameters
    ----------
    table
        Fragments to draw from.
    recipe
        Recipe of the cells.
    batch_size
        Examples in every batch.
    device
        Device of everything, the random draws included.
    rotate
        Rotate at random; otherwise the stored orientations are used.
    seed
        Seed of the draws; every kind of device has its own sequence for it.
    d_min
        Resolution, A.
    multiple_of
        Grid dimensions are multiples of this.
    static_grids
        Grids for all cells they are fine enough for, so that there are few shapes. By default every
        cell has its own; to networks with metric positions a finer grid is the same crystal.
    part, parts
        Of the examples of each batch, make those of this part, the `part`-th of every `parts`. All
        parts draw the same batches and have the same state.
    """

    def __init__(
        self,
        table: FragmentTable,
        recipe: Recipe,
        batch_size: int,
        device: torch.device | str = "cpu",
        rotate: bool = True,
        seed: int = 0,
        d_min: float = 1.5,
        multiple_of: int = PATCH,
        static_grids: tuple[Shape, ...] = (),
        part: int = 0,
        parts: int = 1,
    ) -> None:
        if len(table) == 0:
            raise ValueError(f"no {table.split} fragments to draw from")
        self._part, self._parts = part, parts
        self._fragments = FragmentTensors(table, device)
        self._recipe = recipe
        self._batch_size = batch_size
        self._device = torch.device(device)
        self._rotate = rotate
        self._seed = seed
        self._d_min = d_min
        longest, rate = _longest_edge(self._fragments, recipe), recipe.sample_rate
        self._grids = Grids(longest, d_min, rate, multiple_of, static_grids, device)
        self._draws = max(_POOL, _POOL_BATCHES * batch_size)
        self._pool = 0
        self._emitted = 0
        drawn_on = device_generator(0, device).device
        self._waiting_index = torch.zeros(0, dtype=torch.int64, device=drawn_on)
        self._waiting_rotation = torch.zeros(0, 4, dtype=torch.float64, device=drawn_on)

    def state_dict(self) -> dict[str, Any]:
        """State needed to continue with exactly the next batch."""
        return {
            "pool": self._pool,
            "emitted": self._emitted,
            "waiting_index": self._waiting_index,
            "waiting_rotation": self._waiting_rotation,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of a stream with the same table and settings.

        Raises
        ------
        ValueError
            If it is the state of another stream.
        """
        pool, emitted = int(state["pool"]), int(state["emitted"])
        index, rotation = state["waiting_index"], state["waiting_rotation"]
        if (
            min(pool, emitted) < 0
            or index.ndim != 1
            or rotation.shape != (len(index), 4)
            or (len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self._fragments))
            or not rotation.isfinite().all()
        ):
            raise ValueError("the state of another stream of examples")
        self._pool, self._emitted = pool, emitted
        self._waiting_index = index.to(self._waiting_index)
        self._waiting_rotation = rotation.to(self._waiting_rotation)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            generator = self._generator()
            drawn = torch.randint(
                len(self._fragments), (self._draws,), generator=generator, device=generator.device
            )
            index = torch.cat((self._waiting_index, drawn))
            rotation = torch.cat(
                (self._waiting_rotation, random_quaternions(self._draws, generator))
            )
            number, cells, kept = self._build(index.to(self._device), rotation)
            batches, left = self._batches(cells, kept)
            for which in _shuffled(len(batches), generator)[self._emitted :]:
                self._emitted += 1
                yield self._make(batches[which], index, number, cells)
            self._waiting_index, self._waiting_rotation = index[left], rotation[left]
            self._pool += 1
            self._emitted = 0

    def _generator(self) -> torch.Generator:
        # torch's CPU generator takes 32 bits of a seed: mix both numbers into them.
        mixed = np.random.SeedSequence((self._seed, self._pool)).generate_state(1)
        return device_generator(int(mixed[0]), self._device)

    def _build(self, index: Tensor, rotation: Tensor) -> tuple[Tensor, Cells, Tensor | None]:
        xyz, number = self._fragments.gather(index)
        if self._rotate:
            xyz = xyz @ rotation_matrices(rotation).to(xyz).mT
        cells = build_cells(xyz, number, self._recipe)
        if self._recipe.fixed_cell is None:
            return number, cells, None
        reach = self._recipe.min_contact
        return number, cells, image_contacts(cells.xyz, number, cells.lengths, reach) >= reach

    def _batches(self, cells: Cells, kept: Tensor | None) -> tuple[list[GridGroup], Tensor]:
        """Full batches of one grid, and the rows left over."""
        batches, left = [], [torch.zeros(0, dtype=torch.int64, device=cells.lengths.device)]
        for group in self._grids.groups(cells.lengths, kept):
            full = len(group.rows) - len(group.rows) % self._batch_size
            for begin in range(0, full, self._batch_size):
                rows = group.rows[begin : begin + self._batch_size]
                batches.append(replace(group, rows=rows))
            left.append(group.rows[full:])
        return batches, torch.cat(left)

    def _make(self, batch: GridGroup, index: Tensor, number: Tensor, cells: Cells) -> Batch:
        rows = batch.rows[self._part :: self._parts]
        return _make_batch(
            Cells(cells.xyz[rows], cells.lengths[rows]),
            number[rows],
            self._fragments,
            index[rows],
            self._recipe,
            batch.shape,
            self._d_min,
            batch.limits,
        )


def fixed_batches(
    table: FragmentTable,
    recipe: Recipe,
    batch_size: int,
    device: torch.device | str = "cpu",
    limit: int | None = None,
    d_min: float = 1.5,
    multiple_of: int = PATCH,
) -> Iterator[Batch]:
    """Generate every fragment once, in its stored orientation, in batches of one grid shape.

    Parameters
    ----------
    limit
        Number of rows used, from the first; all by default.

    Other parameters as for `ExampleStream`; the last batch of each shape may be smaller, and the
    order is the same every time.
    """
    fragments = FragmentTensors(table, device)
    n = len(table) if limit is None else min(limit, len(table))
    by_shape: dict[Shape, list[int]] = {}
    for part in torch.arange(n).split(_POOL):
        xyz, number = fragments.gather(part.to(device))
        lengths = build_cells(xyz, number, recipe).lengths
        shapes = _grid_shapes(lengths, recipe, d_min, multiple_of)
        for row, shape in zip(part.tolist(), shapes, strict=True):
            by_shape.setdefault(shape, []).append(row)
    for shape, rows in sorted(by_shape.items()):
        for index in torch.tensor(rows, device=device).split(batch_size):
            xyz, number = fragments.gather(index)
            cells = build_cells(xyz, number, recipe)
            limits = index_limits(cells.lengths.amax(dim=0).tolist(), d_min)
            yield _make_batch(cells, number, fragments, index, recipe, shape, d_min, limits)
