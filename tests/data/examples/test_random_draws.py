"""Generators on the device of the tensors, and decisions taken from them on the host."""

from __future__ import annotations

import pytest
import torch

from crysformer.data.examples.random_draws import device_generator, host_uniform


def test_the_cpus_sequence_is_that_of_a_plain_generator() -> None:
    one, other = device_generator(5), torch.Generator().manual_seed(5)
    assert torch.equal(torch.rand(7, generator=one), torch.rand(7, generator=other))
    assert host_uniform(one) == float(torch.rand(1, generator=other))
    assert torch.equal(one.get_state(), other.get_state())


@pytest.mark.gpu
def test_decisions_follow_the_state_of_a_devices_generator() -> None:
    generator = device_generator(5, "cuda")
    numbers = []
    for _ in range(200):
        torch.rand(3, generator=generator, device="cuda")
        numbers += [host_uniform(generator), host_uniform(generator, 1)]
    assert len(set(numbers)) == 400
    assert 0.4 < sum(numbers) / 400 < 0.6
    state = generator.get_state()
    again = device_generator(0, "cuda")
    again.set_state(state.cpu())
    assert host_uniform(again) == host_uniform(generator)
