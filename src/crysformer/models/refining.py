"""The paper's refining ("+R"): a second network takes the prediction of the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from crysformer.models.crysformer import CrysFormerConfig
from crysformer.models.density_network import DensityNetwork, NetworkConfig
from crysformer.settings import setting, table


@dataclass(frozen=True)
class RefiningConfig(NetworkConfig):
    """Settings of a refining network; make them of the first network's with `refining_config`."""

    network: NetworkConfig = table(
        CrysFormerConfig, "The first network, without an estimate; the second is the same with one."
    )
    cycles: int = setting(
        1, "Predictions of the second network, each from the one before.", min=1, max=100
    )

    def with_scales(self, patterson: float, density: float) -> NetworkConfig:
        """Return the same settings: the scales are those of the first network's run."""
        return self


class Refining(DensityNetwork):
    """A first network that is no longer trained, and a second that improves its predictions.

    The second starts with the weights of the first, and with weights of zero for the estimate, so
    that it predicts the same before it is trained. Without an estimate, `forward` takes that of
    the first network.

    Parameters
    ----------
    config
        The first network and the number of cycles.
    templates
        As for `DensityNetwork`.

    References
    ----------
    Dun et al., arXiv:2310.03899, section 4 ("recycling").
    """

    Config: ClassVar[type[NetworkConfig]] = RefiningConfig

    config: RefiningConfig

    def __init__(self, config: RefiningConfig, templates: Tensor | None = None) -> None:
        from crysformer.models.registry import make_network

        super().__init__(config, templates)
        if config != refining_config(config.network, config.cycles):
            raise ValueError("a refining network has the settings of its first network")
        self.first = make_network(config.network, templates).requires_grad_(False).eval()
        self.second = make_network(second_network(config.network), templates)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Blocks of both networks."""
        return [*self.first.blocks, *self.second.blocks]

    def train(self, mode: bool = True) -> Refining:
        """Switch the second network; the first always predicts."""
        super().train(mode)
        self.first.eval()
        return self

    def forward(
        self,
        patterson: Tensor,
        residues: Tensor,
        lengths: Tensor,
        estimate: Tensor | None = None,
        measured: Tensor | None = None,
    ) -> Tensor:
        """Predict densities; see `DensityNetwork.forward`."""
        self.second.checkpointing = self.checkpointing
        if estimate is None:
            with torch.no_grad():
                estimate = self.first(patterson, residues, lengths, None, measured)
        density: Tensor = self.second(patterson, residues, lengths, estimate, measured)
        for _ in range(self.config.cycles - 1):
            density = self.second(patterson, residues, lengths, density.detach(), measured)
        return density

    @contextmanager
    def sharing(self, residues: Tensor) -> Iterator[None]:
        """Share in both networks; see `DensityNetwork.sharing`."""
        with self.first.sharing(residues), self.second.sharing(residues):
            yield

    @torch.no_grad()
    def start_from(self, first: dict[str, Tensor]) -> None:
        """Give both networks the weights of a first run."""
        self.first.load_state_dict(first)
        state = self.second.state_dict()
        at = self.second.estimate_channel
        self.second.load_state_dict(
            {name: _with_channel(first[name], value, at) for name, value in state.items()}
        )


def refining_config(network: NetworkConfig, cycles: int = 1) -> RefiningConfig:
    """Settings of a refining network whose first network is `network`.

    Raises
    ------
    ValueError
        If that takes an estimate already.
    """
    if network.recycling or isinstance(network, RefiningConfig):
        raise ValueError("the first network takes an estimate already")
    common: dict[str, Any] = {
        f.name: getattr(network, f.name) for f in dataclasses.fields(NetworkConfig)
    }
    return RefiningConfig(**common, network=network, cycles=cycles)


def second_network(network: NetworkConfig) -> NetworkConfig:
    """Settings of the same network with an estimate as one more input map, and no other change."""
    changes: dict[str, Any] = {"recycling": True}
    if isinstance(network, CrysFormerConfig):
        changes["final_maps"] = False
    return dataclasses.replace(network, **changes)


def _with_channel(values: Tensor, like: Tensor, at: int) -> Tensor:
    """Insert an input channel of zero weights where the second network has one more."""
    if values.shape == like.shape:
        return values
    zeros = torch.zeros_like(values[:, :1])
    return torch.cat((values[:, :at], zeros, values[:, at:]), dim=1)
