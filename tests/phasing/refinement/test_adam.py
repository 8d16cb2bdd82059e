"""Adam against the implementation of torch."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch
from torch import Tensor

from crysformer.phasing.refinement.adam import Adam, cosine_decay, minimise

RATES = (0.05, 0.2)


def start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 3), (5,))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def objective(parameters: list[Tensor]) -> Tensor:
    """A curved valley: both parameters matter, and neither gradient is constant."""
    x, y = parameters
    return (x**2).sum() + 3 * ((y - x.sum()) ** 2).sum() + torch.sin(y).sum()


def gradients(parameters: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(objective(parameters), parameters)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.95)])
@pytest.mark.parametrize("decays", [False, True])
def test_steps_are_those_of_torch(betas: tuple[float, float], decays: bool) -> None:
    own, theirs = start(), start()
    lowest, steps = 1e-3, 30
    minimise(
        own,
        lambda: gradients(own),
        RATES,
        steps,
        final_rates=(lowest, lowest) if decays else None,
        betas=betas,
    )
    optimizer = torch.optim.Adam(
        [{"params": [p], "lr": rate} for p, rate in zip(theirs, RATES, strict=True)], betas=betas
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, lowest)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(theirs).backward()
        optimizer.step()
        if decays:
            schedule.step()
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert objective(own) < objective(start()) - 1


def test_the_first_step_is_as_long_as_its_rate_whatever_the_gradient() -> None:
    parameters = start()
    moves = Adam(parameters).descent([1e3 * torch.ones(4, 3), -1e-3 * torch.ones(5)], RATES)
    torch.testing.assert_close(moves[0], torch.full((4, 3), -RATES[0]))
    torch.testing.assert_close(moves[1], torch.full((5,), RATES[1]), rtol=1e-4, atol=0)


def test_rates_decay_along_a_cosine() -> None:
    assert cosine_decay((1.0, 2.0), (0.0, 1.0), 0, 10) == [1.0, 2.0]
    assert cosine_decay((1.0, 2.0), (0.0, 1.0), 5, 10) == pytest.approx([0.5, 1.5])
    assert cosine_decay((1.0, 2.0), (0.0, 1.0), 10, 10) == pytest.approx([0.0, 1.0])


def test_parameters_stay_within_their_limits() -> None:
    parameters = start()
    minimise(parameters, lambda: gradients(parameters), (1.0, 1.0), 5, limits=(None, (0.5, 0.6)))
    assert parameters[1].min() >= 0.5
    assert parameters[1].max() <= 0.6
    assert parameters[0].max() > 0.6 or parameters[0].min() < 0.5


@pytest.mark.parametrize("least", [0, 1])
def test_no_step_begins_after_the_deadline_but_the_least(least: int) -> None:
    parameters = start()
    minimise(
        parameters,
        lambda: gradients(parameters),
        RATES,
        10,
        least=least,
        deadline=time.monotonic() - 1,
    )
    moved = (parameters[1] - start()[1]).abs().max()
    assert float(moved.detach()) == pytest.approx(least * RATES[1], rel=1e-4)


def test_the_rates_rise_during_the_warm_up() -> None:
    parameters = start()
    before = parameters[1].detach().clone()
    minimise(parameters, lambda: gradients(parameters), RATES, 1, warm_up=4)
    moved = (parameters[1].detach() - before).abs().max()
    assert float(moved) == pytest.approx(RATES[1] / 4, rel=1e-4)


def test_refinement_does_not_import_the_compiler_of_torch() -> None:
    """Its import takes longer than most refinements."""
    program = (
        "import sys, torch\n"
        "from crysformer.phasing.refinement.adam import minimise\n"
        "x = torch.ones(3, requires_grad=True)\n"
        "minimise((x,), lambda: torch.autograd.grad((x**2).sum(), x), (0.1,), 5)\n"
        "assert float(x.detach().max()) < 0.6\n"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
