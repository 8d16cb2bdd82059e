"""What making a batch asks of the host: nothing that waits for the device, and few calls."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crysformer.crystal.fourier.grids import (
    density_from_grid,
    hkl_to_grid,
    patterson_from_grid,
)
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.data import DIPEPTIDE, FragmentStore
from crysformer.data.examples import stream as stream_module
from crysformer.data.examples.data_augmentation import AugmentationRanges, measured_batch
from crysformer.data.examples.fragment_tensors import FragmentTensors
from crysformer.data.examples.stream import ExampleStream
from crysformer.data.synthetic.fitted_cells import build_cells
from crysformer.models.recycling import disturb_phases

#: Methods of tensors that wait for the device that holds them.
_READ = (
    "item", "tolist", "__float__", "__int__", "__index__", "__bool__", "cpu", "numpy", "nonzero",
)  # fmt: skip
#: Operators that read a tensor to know the size of another or to raise, or copy from the host.
_WAIT = (
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount",
    "unique_consecutive", "_linalg_check_errors", "lift_fresh", "is_nonzero", "equal",
    "repeat_interleave",
)  # fmt: skip


class Calls(TorchDispatchMode):
    """Counts operators but views, which launch nothing, and among them those that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = 0
        self.draws = self.copies = 0
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        aliases = [r.alias_info for r in func._schema.returns]
        self.operators += not any(alias and not alias.is_write for alias in aliases)
        by_mask = name in ("index", "index_put", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        self.draws += name in ("rand", "randn")
        target = (kwargs or {}).get("device")
        self.copies += name == "_to_copy" and target not in (None, args[0].device)
        if name in _WAIT or by_mask:
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    calls = Calls()

    def counting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            calls.waits[name] += 1
            return method(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for name in _READ:
            patch.setattr(Tensor, name, counting(name, getattr(Tensor, name)))
        with calls:
            yield calls


def test_the_counter_sees_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.arange(4.0)
    for wait in (
        lambda: float(x[0]), lambda: x.tolist(), lambda: x[x > 1], lambda: bool((x > 1).any()),
        lambda: x.unique(), lambda: torch.linalg.inv(torch.eye(3)), lambda: torch.tensor([1.0]),
    ):  # fmt: skip
        with counted(monkeypatch) as calls:
            wait()
        assert calls.waits


def test_a_batch_waits_for_nothing(
    dipeptides: FragmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = iter(ExampleStream(dipeptides.table("train"), DIPEPTIDE, batch_size=8))
    generator = torch.Generator().manual_seed(0)

    def prepare() -> None:
        batch = measured_batch(next(stream), AugmentationRanges(), 1.5, 20.0, generator)
        disturb_phases(batch.density, torch.full((8,), 0.5), generator)

    prepare()  # the first pool is made, tables are cached
    with counted(monkeypatch) as calls:
        prepare()
    assert not calls.waits
    # each operator costs a GPU's host some 5 us: less than 2 us an example from 1,000 examples on
    assert calls.operators < 400


def test_a_pool_waits_a_few_times(
    dipeptides: FragmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_POOL", 1024)
    stream = ExampleStream(dipeptides.table("train"), DIPEPTIDE, batch_size=64)
    batches = iter(stream)
    next(batches)
    for _ in range(3):
        pool = stream.state_dict()["pool"]
        with counted(monkeypatch) as calls:
            while stream.state_dict()["pool"] == pool:
                next(batches)
        # reading the table of grids, shuffling on the host and, on CPUs only, sorting by size
        assert calls.waits.total() <= 5, calls.waits


def test_a_device_is_never_read_and_gets_only_draws(
    dipeptides: FragmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device "meta", which holds no data, reading any would fail."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    table = dipeptides.table("train")
    fragments = FragmentTensors(table, "meta")
    index = torch.zeros(64, dtype=torch.int64, device="meta")
    generator = torch.Generator().manual_seed(0)  # there is no generator on "meta"
    sigma = torch.ones(64, device="meta")

    def prepare() -> None:
        xyz, number = fragments.gather(index)
        cells = build_cells(xyz, number, DIPEPTIDE)
        batch = stream_module._make_batch(
            cells, number, fragments, index, DIPEPTIDE, (20, 16, 12), 1.5, (6, 5, 3)
        )
        batch = measured_batch(batch, AugmentationRanges(), 1.5, 20.0, generator)
        noisy = disturb_phases(batch.density, sigma, generator)
        assert noisy.device.type == "meta"

    prepare()  # tables are made and cached
    with counted(monkeypatch) as calls:
        prepare()
    assert not calls.waits
    assert calls.copies == calls.draws > 0


def test_single_precision_equals_direct_summation_in_double(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("train")
    batch = next(iter(ExampleStream(table, DIPEPTIDE, batch_size=8, rotate=False, seed=1)))
    shape = (batch.density.shape[2], batch.density.shape[3], batch.density.shape[4])
    xyz, number = FragmentTensors(table, "cpu", torch.float64).gather(batch.index)
    cells = build_cells(xyz, number, DIPEPTIDE)
    torch.testing.assert_close(batch.lengths.double(), cells.lengths, rtol=0, atol=1e-4)
    h, k, l = (torch.arange(-(n // 2) + 1, n // 2) for n in shape)  # noqa: E741
    box = torch.cartesian_prod(h, k, l[l >= 0])
    for i in range(8):
        orth = torch.diag(cells.lengths[i])
        d_star_sq = (box / cells.lengths[i]).square().sum(1)
        hkl = box[(d_star_sq > 0) & (d_star_sq <= (1 + 1e-5) / 1.5**2)]
        ones = (number[i : i + 1] > 0).double()
        atoms = AtomBatch(cells.frac[i : i + 1], number[i : i + 1], 20 * ones, ones)
        F = hkl_to_grid(hkl, structure_factors(atoms, orth, hkl), shape)
        volume = cells.lengths[i].prod()
        for found, expected in (
            (batch.density[i, 0], density_from_grid(F, shape, volume)[0]),
            (batch.patterson[i, 0], patterson_from_grid(F, shape, volume)[0]),
        ):
            assert (found - expected).abs().max() < 2e-5 * expected.abs().max()
