"""Presets: they build, and have the published size."""

from __future__ import annotations

import pytest
import torch

from crysformer.errors import UsageError
from crysformer.models.density_network import n_parameters
from crysformer.models.presets import PRESETS, preset
from crysformer.models.registry import make_network


def test_parameter_count_of_the_paper_setting() -> None:
    d, ff, cube, channels = 512, 512, 64, 10
    attention = d * 3 * d + 3 * d + d * 2 * d + 2 * d + d * d + d
    layer = 3 * 2 * d + attention + d * ff + ff + ff * d + d
    stems = 2 * (channels * 343 + channels + channels * cube * d + d)
    tables = 3 * 32 * d + 216 * d + 2 * d
    head = 2 * d + d * channels * cube + channels * cube
    final = 2 * 2 * (channels * channels * 125 + channels) + channels * 27 + 1
    expected = 6 * layer + stems + tables + head + final
    with torch.device("meta"):
        model = make_network(preset("dipeptide"))
    assert n_parameters(model) == expected
    # 28 MB in bf16, as published
    assert n_parameters(model) * 2 / 1e6 == pytest.approx(28, abs=1)


def test_presets_build_and_an_unknown_one_is_refused() -> None:
    for config in PRESETS.values():
        with torch.device("meta"):
            assert n_parameters(make_network(config)) > 1e6
    with pytest.raises(UsageError, match="dipeptide-small"):
        preset("tripeptide")
