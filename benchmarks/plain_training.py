"""Training step of the paper's network beside a plain rendering of it that reads maps from files.

    python benchmarks/plain_training.py --data dipeptides [--preset dipeptide] [--rounds 4]

The plain rendering has the same layers and the same weights, written as the paper describes them:
partial structures convolved for each example, a matrix of attention weights with dropout, torch's
circular padding, and Patterson map, density and partial structures of each example read from the
files that `crysformer dataset export --format pt` writes, in the authors' layout. The other one is
`Trainer.train_step`, which makes its examples. Both do steps of the same number of examples in
turn, in one process, and the ratio is that of their processor times. Beforehand the two networks
are compared on the same maps: their outputs must agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from crysformer.data.dataset.export import export
from crysformer.data.store import FragmentStore
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig
from crysformer.models.layers import from_patches, to_patches
from crysformer.report.hardware import machine
from crysformer.training.config import TrainingConfig, training_preset
from crysformer.training.loop import Trainer

#: Largest difference of the outputs, relative to the largest value.
_TOLERANCE = 1e-4


def circular(channels: int, out: int, kernel: int) -> nn.Conv3d:
    return nn.Conv3d(channels, out, kernel, padding="same", padding_mode="circular")


class PlainAttention(nn.Module):
    """One-way attention with its matrix of weights."""

    def __init__(self, c: CrysFormerConfig) -> None:
        super().__init__()
        inner = c.heads * c.head_width
        self.heads = c.heads
        self.query_key_value = nn.Linear(c.width, 3 * inner)
        self.partial_key_value = nn.Linear(c.width, 2 * inner)
        self.dropout = nn.Dropout(c.dropout)
        self.output = nn.Linear(inner, c.width)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """(B, N, D) and (B, M, D) to (B, N, D)."""

        def split(t: Tensor) -> Tensor:
            return t.unflatten(2, (self.heads, -1)).transpose(1, 2)

        q, k, v = map(split, self.query_key_value(x).chunk(3, dim=-1))
        ku, vu = map(split, self.partial_key_value(u).chunk(2, dim=-1))
        k, v = torch.cat((k, ku), dim=2), torch.cat((v, vu), dim=2)
        weights = self.dropout((q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1))
        mixed: Tensor = self.output((weights @ v).transpose(1, 2).flatten(2))
        return mixed


class PlainLayer(nn.Module):
    """Attention and feed-forward, each with a skip."""

    def __init__(self, c: CrysFormerConfig) -> None:
        super().__init__()
        self.norm_map, self.norm_partial = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.attention = PlainAttention(c)
        self.norm_feedforward = nn.LayerNorm(c.width)
        self.feedforward = nn.Sequential(
            nn.Linear(c.width, c.feedforward),
            nn.GELU(),
            nn.Dropout(c.dropout),
            nn.Linear(c.feedforward, c.width),
            nn.Dropout(c.dropout),
        )

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """(B, N, D) and (B, M, D) to (B, N, D)."""
        x = x + self.attention(self.norm_map(x), self.norm_partial(u))
        fed: Tensor = self.feedforward(self.norm_feedforward(x))
        return x + fed


class PlainBlock(nn.Module):
    """x + conv(act(conv(x)))."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            circular(channels, channels, kernel), nn.GELU(), circular(channels, channels, kernel)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, U, V, W) to the same."""
        y: Tensor = self.block(x)
        return x + y


class Tables(nn.Module):
    """Learned positions, one table for each axis."""

    def __init__(self, c: CrysFormerConfig) -> None:
        super().__init__()
        self.tables = nn.Parameter(torch.zeros(3, c.max_patches, c.width))

    def forward(self, nu: int, nv: int, nw: int) -> Tensor:
        """Positions (N, D) of a grid of patches."""
        u, v, w = self.tables
        return (u[:nu, None, None] + v[None, :nv, None] + w[None, None, :nw]).flatten(0, 2)


class PlainCrysFormer(nn.Module):
    """The paper's network; names of the parameters as in `models.crysformer`.

    Parameters
    ----------
    c
        Settings: those of the paper's presets, with exact attention.
    partial_scale
        Factor of the partial structures in the files.
    """

    def __init__(self, c: CrysFormerConfig, partial_scale: float) -> None:
        super().__init__()
        self.c, self.partial_scale = c, partial_scale
        self.stem = circular(1, c.channels, c.kernel)
        self.embed = nn.Linear(c.channels * c.patch**3, c.width)
        self.positions = Tables(c)
        self.partial_stem = circular(1, c.partial_channels, c.kernel)
        self.partial_embed = nn.Linear(c.partial_channels * c.partial_patch**3, c.width)
        self.partial_positions = nn.Parameter(torch.zeros((24 // c.partial_patch) ** 3, c.width))
        self.order = nn.Parameter(torch.zeros(c.n_residues, 1, c.width))
        self.layers = nn.ModuleList(PlainLayer(c) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width)
        self.unembed = nn.Linear(c.width, c.final_channels * c.patch**3)
        self.final = nn.Sequential(
            *(PlainBlock(c.final_channels, c.final_kernel) for _ in range(c.final_blocks)),
            circular(c.final_channels, 1, 3),
        )

    def forward(self, patterson: Tensor, partial: Tensor) -> Tensor:
        """(B, 1, U, V, W) and (B, J, 24, 24, 24), scaled, to (B, 1, U, V, W), scaled."""
        c = self.c
        b, _, nu, nv, nw = patterson.shape
        place = self.positions(nu // c.patch, nv // c.patch, nw // c.patch)
        x = self.embed(to_patches(self.stem(patterson), c.patch)) + place
        maps = self.partial_stem(partial.flatten(0, 1)[:, None] * self.partial_scale)
        u = self.partial_embed(to_patches(maps, c.partial_patch)) + self.partial_positions
        u = (u.unflatten(0, (b, c.n_residues)) + self.order).flatten(1, 2)
        for layer in self.layers:
            x = layer(x, u)
        y = from_patches(self.unembed(self.norm(x)), c.patch, (nu, nv, nw))
        return torch.tanh(self.final(y))


class Files:
    """Examples in files, drawn at random in batches of one grid."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        self.folder, self.batch_size = folder, batch_size
        self.generator = torch.Generator().manual_seed(0)
        ids = (folder / "train_examples.txt").read_text().split()
        grids: dict[tuple[int, ...], list[str]] = {}
        for name in ids:
            grids.setdefault(tuple(self._map(name).shape), []).append(name)
        self.groups = [group for group in grids.values() if len(group) >= batch_size]

    def _map(self, name: str) -> Tensor:
        return self._read(f"patterson_pt_scaled/{name}_patterson.pt")

    def _read(self, name: str) -> Tensor:
        read: Tensor = torch.load(self.folder / name, weights_only=True)
        return read

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give batches (B, 1, U, V, W), (B, J, 24, 24, 24), (B, 1, U, V, W)."""
        sizes = torch.tensor([len(group) for group in self.groups], dtype=torch.float64)
        while True:
            group = self.groups[int(torch.multinomial(sizes, 1, generator=self.generator))]
            drawn = torch.randperm(len(group), generator=self.generator)[: self.batch_size]
            names = [group[i] for i in drawn.tolist()]
            yield (
                torch.stack([self._map(n) for n in names])[:, None],
                torch.stack([self._read(f"res/{n}_ps.pt") for n in names]),
                torch.stack([self._read(f"electron_density_pt_scaled/{n}_fft.pt") for n in names])[
                    :, None
                ],
            )


def plain_step(
    model: PlainCrysFormer, files: Iterator[tuple[Tensor, Tensor, Tensor]], config: TrainingConfig
) -> Callable[[], float]:
    """Make a training step of the plain network."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    loss_of = nn.MSELoss()

    def step() -> float:
        total = 0.0
        optimizer.zero_grad()
        for _ in range(config.accumulate):
            patterson, partial, density = next(files)
            loss = loss_of(model(patterson, partial), density) / config.accumulate
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        return total

    return step


def plain_of(model: CrysFormer) -> PlainCrysFormer:
    """Make the plain network with the weights of another one."""
    norm = model.templates.std()
    plain = PlainCrysFormer(model.config, float(model.config.density_scale / norm))
    known = {k: v for k, v in model.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(known)
    return plain


@torch.no_grad()
def difference(model: CrysFormer, plain: PlainCrysFormer, files: Files, codes: Tensor) -> float:
    """Largest difference of the outputs, relative to the largest value, with random weights."""
    c = model.config
    patterson, partial, _ = next(iter(files))
    wanted = plain(patterson, partial) * c.density_scale
    lengths = torch.ones(len(patterson), 3)
    # the sequences by their partial structures
    templates = model.templates / c.density_scale
    own = (partial[:, :, None] - templates).abs().amax((3, 4, 5)).argmin(dim=2)
    found = model(patterson * c.patterson_scale, codes[own], lengths)
    return float((found - wanted).abs().max() / wanted.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of `crysformer dataset build`")
    parser.add_argument("--preset", default="dipeptide")
    parser.add_argument("--rounds", type=int, default=4, help="steps of each, in turn")
    parser.add_argument("--files", type=int, default=400, help="examples in files")
    parser.add_argument("--accumulate", type=int, default=4, help="batches in a step")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = dataclasses.replace(
        training_preset(args.preset), bf16=False, validation_examples=8, accumulate=args.accumulate
    )
    store = FragmentStore.open(args.data)
    with tempfile.TemporaryDirectory() as folder:
        export(args.data, Path(folder) / "pt", "pt", "train", args.files)
        trainer = Trainer(config, store, Path(folder), None, torch.device("cpu"))
        model = trainer.learner.model
        assert isinstance(model, CrysFormer)
        with torch.no_grad():  # away from the initial state, in which the output is flat
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        files = Files(Path(folder) / "pt", config.batch_size)
        plain = plain_of(model)
        apart = difference(model.eval(), plain.eval(), files, torch.arange(20))
        if apart > _TOLERANCE:
            raise SystemExit(f"the outputs differ by {apart:.1e}, expected at most {_TOLERANCE}")
        model.train()
        step = plain_step(plain.train(), iter(files), config)
        seconds = {"plain": 0.0, "package": 0.0}
        for number in range(args.rounds + 1):
            for name, work in (("plain", step), ("package", trainer.train_step)):
                begin = time.process_time()
                work()
                if number:  # the first one warms up
                    seconds[name] += time.process_time() - begin
    examples = args.rounds * config.batch_size * config.accumulate
    print(machine())
    print(f"outputs of the same weights on the same maps differ by {apart:.1e} of the largest")
    for name, taken in seconds.items():
        print(f"{name}: {examples / taken:.2f} examples in a second of processor time")
    print(f"ratio: {seconds['plain'] / seconds['package']:.2f}")


if __name__ == "__main__":
    main()
