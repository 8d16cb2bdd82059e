"""Training that starts from existing weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from crysformer.errors import InputError
from crysformer.models.density_network import DensityNetwork, NetworkConfig
from crysformer.models.weights import load_weights


def starting_weights(source: str | Path, model: DensityNetwork) -> dict[str, Tensor]:
    """Adapt weights of the same architecture, also of one without the mask of measured reflections.

    The additional weights of a network with that mask start at zero, so that its predictions
    start as those of the other network.

    Parameters
    ----------
    source
        Packaged name or file.
    model
        The network to be trained.

    Raises
    ------
    InputError
        If the weights belong to another architecture.
    """
    initial = load_weights(source).model
    if not _alike(initial.config, model.config):
        raise InputError(f"{source}: another network than the one to train")
    found = initial.state_dict()
    return {name: _padded(found[name], like) for name, like in model.state_dict().items()}


def _alike(found: NetworkConfig, wanted: NetworkConfig) -> bool:
    """Compare architectures, except for the scales, which belong to the data."""
    if type(found) is not type(wanted):
        return False
    adapted = dataclasses.replace(
        found,
        patterson_scale=wanted.patterson_scale,
        density_scale=wanted.density_scale,
        conditions=found.conditions or wanted.conditions,
    )
    return adapted == wanted


def _padded(values: Tensor, like: Tensor) -> Tensor:
    """Pad with zeros to another shape; new channels are the last."""
    if values.shape == like.shape:
        return values
    padded = torch.zeros_like(like)
    padded[tuple(slice(n) for n in values.shape)] = values
    return padded
