"""Scores of networks: perfect, moved, inverted and random maps have known figures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crysformer.data.examples.stream import Batch, fixed_batches
from crysformer.data.store import FragmentStore
from crysformer.evaluation.experiments.cost import training_flop
from crysformer.evaluation.experiments.network_scores import score_network, with_wrong_residues
from crysformer.models.density_network import DensityNetwork, NetworkConfig
from crysformer.testing import conformer_pairs, random_network, tiny_network, write_data_set
from crysformer.training.losses import inverse


class Oracle(DensityNetwork):
    """Answers with maps that it was given."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__(NetworkConfig())
        self.answers = answers

    def forward(self, patterson, residues, lengths, estimate=None, measured=None):  # type: ignore[no-untyped-def]
        return self.answers.pop(0)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Batch]:
    folder = write_data_set(tmp_path_factory.mktemp("data"), "dipeptide", conformer_pairs())
    store = FragmentStore.open(folder)
    return list(fixed_batches(store.table("validation"), store.recipe, 4, limit=8))


def test_perfect_moved_and_inverted_maps(batches: list[Batch]) -> None:
    true = [b.density for b in batches]
    perfect = score_network(Oracle(list(true)), batches, 1.5).means()
    assert perfect["pc"] == pytest.approx(1, abs=1e-5)
    assert perfect["mean_phase_error"] == pytest.approx(0, abs=0.1)
    assert perfect["solved_share"] == 1
    for changed in ([d.roll((3, 1, 2), (2, 3, 4)) for d in true], [inverse(d) for d in true]):
        found = score_network(Oracle(changed), batches, 1.5).means()
        assert found["pc"] < 0.8
        assert found["mean_phase_error"] > 40
        assert found["pc_aligned"] == pytest.approx(1, abs=1e-3)
        assert found["weighted_phase_error_aligned"] < 1
        assert found["solved_share"] == 1
    assert found["pc_better_hand"] == pytest.approx(1, abs=1e-5)  # the inverted ones


def test_random_maps(batches: list[Batch]) -> None:
    torch.manual_seed(0)
    noise = [torch.randn_like(b.density) for b in batches]
    found = score_network(Oracle(noise), batches, 1.5).means()
    assert abs(found["pc"]) < 0.1
    assert 80 < found["mean_phase_error"] < 100
    assert found["solved_share"] == 0


def test_wrong_residues_are_those_of_another_crystal(batches: list[Batch]) -> None:
    wrong = with_wrong_residues(batches)
    known = {tuple(r.tolist()) for b in batches for r in b.residues}
    for before, after in zip(batches, wrong, strict=True):
        assert (before.residues != after.residues).any(1).all()
        assert {tuple(r.tolist()) for r in after.residues} <= known
        assert torch.equal(before.patterson, after.patterson)


def test_operations_are_counted_for_every_row(batches: list[Batch]) -> None:
    for scaling in ("constant", "amplitudes"):
        network = random_network(tiny_network(scaling=scaling, recycling=True, steps=1))
        assert training_flop(network, batches[0]) > 0


def test_operations_of_an_example(batches: list[Batch]) -> None:
    """The stem alone: 2 operations a weight and voxel forward; backward as much for the weights."""
    narrow, wide = (
        training_flop(random_network(tiny_network(channels=n)), batches[0]) for n in (2, 4)
    )
    voxels = batches[0].patterson[0].numel()
    # two more channels: 27 weights each in the stem, and 64 more inputs for each of 24 features
    stem = 2 * voxels * 2 * 27 * 2
    embed = 2 * (voxels // 64) * (2 * 64 * 24) * 3
    assert wide - narrow == pytest.approx(stem + embed, rel=0.02)
