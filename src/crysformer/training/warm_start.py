"""A run that starts from weights instead of from random numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from crysformer.errors import InputError
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig
from crysformer.models.weights import load_weights


def starting_weights(source: str | Path, model: CrysFormer) -> dict[str, Tensor]:
    """Weights for a network from those of the same one, or of the same one without conditions.

    What a network for conditions has more starts at zero, so that it begins where the other ended.

    Parameters
    ----------
    source
        Packaged name or file.
    model
        The network to be trained.

    Raises
    ------
    InputError
        If they are of another network.
    """
    initial = load_weights(source).model
    if not _alike(initial.config, model.config):
        raise InputError(f"{source}: another network than the one to train")
    found = initial.state_dict()
    return {name: _padded(found[name], like) for name, like in model.state_dict().items()}


def _alike(found: CrysFormerConfig, wanted: CrysFormerConfig) -> bool:
    """Whether weights fit; the scales of constants belong to the data."""
    adapted = dataclasses.replace(
        found,
        patterson_scale=wanted.patterson_scale,
        density_scale=wanted.density_scale,
        conditions=found.conditions or wanted.conditions,
    )
    return adapted == wanted


def _padded(values: Tensor, like: Tensor) -> Tensor:
    """Values in the leading corner of zeros of another shape: new channels are the last."""
    if values.shape == like.shape:
        return values
    padded = torch.zeros_like(like)
    padded[tuple(slice(n) for n in values.shape)] = values
    return padded
