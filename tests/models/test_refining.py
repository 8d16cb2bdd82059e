"""Refining: the second network starts as the first."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.models.density_network import NetworkConfig, n_parameters
from crysformer.models.refining import Refining, refining_config
from crysformer.models.registry import make_network
from crysformer.models.unet import UNetConfig
from crysformer.testing import random_patterson_maps, tiny_network

FIRST: dict[str, NetworkConfig] = {
    "crysformer": tiny_network(),
    "amplitudes": tiny_network(scaling="amplitudes", conditions=True),
    "unet": UNetConfig(first_channels=3, channels=4, blocks=1, kernel=3),
    "unet-ps": UNetConfig(
        first_channels=3, channels=4, blocks=1, kernel=3, partial_structures=True
    ),
}


def refining(kind: str, cycles: int = 1) -> Refining:
    torch.manual_seed(0)
    first = make_network(FIRST[kind], residue_templates())
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model = Refining(refining_config(FIRST[kind], cycles), residue_templates())
    model.start_from(first.state_dict())
    return model.eval()


@pytest.mark.parametrize("kind", FIRST)
def test_before_training_the_prediction_is_that_of_the_first_network(kind: str) -> None:
    model = refining(kind)
    inputs = random_patterson_maps()
    with torch.no_grad():
        first, again = model.first(*inputs), model(*inputs)
        assert first.std() > 0
        assert torch.equal(first, again)
        assert torch.equal(first, model(*inputs, torch.randn_like(first)))


@pytest.mark.parametrize("kind", FIRST)
def test_training_uses_the_prediction_and_leaves_the_first_network(kind: str) -> None:
    model = refining(kind).train()
    assert not model.first.training
    assert n_parameters(model) == n_parameters(model.second)
    inputs = random_patterson_maps()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    before = {name: value.clone() for name, value in model.first.state_dict().items()}
    (model(*inputs) - torch.randn(inputs[0].shape)).square().mean().backward()
    optimizer.step()
    for name, value in model.first.state_dict().items():
        assert torch.equal(value, before[name]), name
    model.eval()
    with torch.no_grad():
        estimate = model.first(*inputs)
        assert not torch.equal(model(*inputs), model(*inputs, -estimate))


def test_cycles_feed_predictions_back() -> None:
    model = refining("crysformer", cycles=3)
    with torch.no_grad():
        for parameter in model.second.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        inputs = random_patterson_maps()
        density = model.first(*inputs)
        for _ in range(3):
            density = model.second(*inputs, density)
        assert torch.equal(model(*inputs), density)


def test_a_network_with_an_estimate_is_not_refined() -> None:
    for config in (tiny_network(recycling=True), refining_config(tiny_network())):
        with pytest.raises(ValueError, match="takes an estimate already"):
            refining_config(config)
    scaled = dataclasses.replace(tiny_network(), density_scale=2.0)
    assert refining_config(scaled).with_scales(3.0, 4.0).density_scale == 2.0


def test_settings_must_be_those_of_the_first_network() -> None:
    config = dataclasses.replace(refining_config(tiny_network()), d_min=2.0)
    with pytest.raises(ValueError, match="settings of its first network"):
        Refining(config)
