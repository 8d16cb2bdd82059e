"""Architectures by name, also from outside the package."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from crysformer.errors import InputError, UsageError
from crysformer.models import registry
from crysformer.models.presets import PRESETS
from crysformer.models.refining import refining_config
from crysformer.models.registry import (
    config_from_dict,
    config_to_dict,
    make_network,
    name_of,
    register,
)
from crysformer.models.unet import UNetConfig
from crysformer.models.weights import load_weights, save_weights
from crysformer.testing import random_patterson_maps, tiny_network

OUTSIDE = '''
"""A network of one's own."""

from dataclasses import dataclass

from torch import nn

from crysformer import DensityNetwork, NetworkConfig


@dataclass(frozen=True)
class OneLayerConfig(NetworkConfig):
    kernel: int = 3


class OneLayer(DensityNetwork):
    Config = OneLayerConfig

    def __init__(self, config, templates=None):
        super().__init__(config, templates)
        self.layer = nn.Conv3d(self.input_channels, 1, config.kernel, padding="same")

    def forward(self, patterson, residues, lengths, estimate=None, measured=None):
        maps = self.input_maps(patterson, lengths, estimate, measured)
        return self.scaling.output(self.layer(maps), patterson, lengths)


class NotANetwork:
    pass


class Nameless(DensityNetwork):
    pass
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "nets_of_a_test.py").write_text(OUTSIDE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "ARCHITECTURES", dict(registry.ARCHITECTURES))
    yield "nets_of_a_test:OneLayer"
    sys.modules.pop("nets_of_a_test", None)


def test_settings_survive_plain_values() -> None:
    for config in (*PRESETS.values(), refining_config(UNetConfig(blocks=2), cycles=2)):
        assert config_from_dict(config_to_dict(config)) == config
    # weights of the time when there was one architecture
    values = config_to_dict(tiny_network())
    del values["architecture"]
    assert config_from_dict(values) == tiny_network()


def test_another_architecture_keeps_what_all_have() -> None:
    base = tiny_network(n_residues=15, sample_rate=2.0)
    config = config_from_dict({"architecture": "unet", "blocks": 3}, base=base)
    assert config == UNetConfig(n_residues=15, sample_rate=2.0, blocks=3)


def test_a_network_from_outside(outside: str, tmp_path: Path) -> None:
    kind = register(outside)
    assert register(outside) is kind
    config = config_from_dict({"architecture": outside, "kernel": 5}, base=tiny_network())
    assert name_of(config) == outside
    model = make_network(config).eval()
    inputs = random_patterson_maps()
    save_weights(tmp_path / "own.safetensors", model, {})
    loaded = load_weights(tmp_path / "own.safetensors").model
    with torch.no_grad():
        torch.testing.assert_close(loaded(*inputs), model(*inputs), rtol=1e-2, atol=1e-3)
    assert dataclasses.asdict(loaded.config)["kernel"] == 5


def test_a_file_of_weights_imports_nothing(outside: str) -> None:
    with pytest.raises(
        InputError, match=r"unknown architecture 'nets_of_a_test:OneLayer'.*`register` imports it"
    ):
        config_from_dict({"architecture": outside}, "weights.json")
    assert "nets_of_a_test" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "expected one of crysformer, unet, refining, or package.module:Class"),
        ("no_such_module:Net", "cannot be imported"),
        ("nets_of_a_test:Nothing", "cannot be imported"),
        ("nets_of_a_test:NotANetwork", "expected a subclass"),
        ("nets_of_a_test:Nameless", "a dataclass of its own"),
    ],
)
def test_names_that_are_no_network(outside: str, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        register(name)
