"""Network, average and optimiser of a run, and the training step on them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.data.examples.stream import Batch
from crysformer.memory import check_memory
from crysformer.models.density_network import NetworkConfig, n_parameters
from crysformer.models.registry import make_network
from crysformer.training.config import TrainingConfig
from crysformer.training.faults import CompiledBlocks
from crysformer.training.losses import LOSSES
from crysformer.training.memory import BYTES_PER_PARAMETER
from crysformer.training.optimiser import make_optimizer
from crysformer.training.processes import ALONE, Processes
from crysformer.training.recycling_inputs import starting_estimate


def _check_memory(model: NetworkConfig) -> None:
    """Refuse a network whose parameters alone do not fit, before they are made."""
    with torch.device("meta"):
        n = n_parameters(make_network(model))
    check_memory(
        BYTES_PER_PARAMETER * n,
        f"training of a network of {n:,} parameters",
        "choose a smaller network",
    )


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch with its starting estimates, (B, 1, U, V, W) and (B,), if the network recycles."""

    batch: Batch
    estimate: Tensor | None
    blank: Tensor | None


class Learner:
    """The parts of a run that a step changes.

    `backward` and `update` only launch work on the device: they read nothing back from it, so that
    the host can prepare the next step meanwhile.

    Parameters
    ----------
    config
        Training settings.
    model
        The network with the scales of the data.
    device
        Compute device.
    processes
        Processes that average their gradients.

    Attributes
    ----------
    model, averaged
        The network, and its weights averaged over the steps, in evaluation mode.
    blocks
        Compilation of the network's blocks.
    random
        Random numbers of imperfections and estimates.
    step
        Number of steps done.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: NetworkConfig,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self._config = config
        self._device = device
        if device.type == "cpu":
            _check_memory(model)
        self.model = make_network(model, residue_templates()).to(device)
        self.model.checkpointing = config.checkpoint_layers
        self.averaged = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.blocks = CompiledBlocks(self.model, config.compile)
        self._processes = processes
        self._parallel = processes.parallel(self.model)
        self.optimizer = make_optimizer(self.model, config)
        # On a GPU the numbers are drawn there; Apple's lack the double precision of some.
        drawn_on = device if device.type == "cuda" else torch.device("cpu")
        self.random = torch.Generator(drawn_on).manual_seed(processes.own_seed(config.seed))
        self.step = 0
        self._loss = LOSSES[config.loss]
        self._parameters: list[Tensor] = list(self.model.parameters())
        self._averages: list[Tensor] = list(self.averaged.parameters())
        self._statistics = list(zip(*map(_statistics, (self.averaged, self.model)), strict=True))

    def train(
        self,
        batches: Sequence[Batch],
        measured: Callable[[Batch, torch.Generator], Batch],
        rate: float,
    ) -> Tensor:
        """Do one training step.

        Parameters
        ----------
        batches
            The examples.
        measured
            Simulation of imperfect measurements with some random numbers.
        rate
            Learning rate.

        Returns
        -------
        Tensor
            Mean loss of the batches, on the device.
        """
        losses = []
        with self.sharing(batches):
            for batch in batches:
                inputs = self.prepare(measured(batch, self.random))
                losses.append(self.backward(inputs, len(batches)))
        self.update(rate)
        return torch.stack(losses).sum()

    def prepare(self, batch: Batch) -> Inputs:
        """Draw the starting estimates of a batch."""
        if not self._config.model.recycling:
            return Inputs(batch, None, None)
        with self._autocast():
            return Inputs(batch, *starting_estimate(self.model, batch, self._config, self.random))

    @contextmanager
    def sharing(self, batches: Sequence[Batch]) -> Iterator[None]:
        """Share work between the batches of a step; see `DensityNetwork.sharing`."""
        # Several processes average gradients in each batch's backward pass, before the shared ones.
        if len(batches) == 1 or self._processes.size > 1:
            yield
            return
        with ExitStack() as stack:
            with self._autocast():
                stack.enter_context(
                    self.model.sharing(torch.cat([batch.residues for batch in batches]))
                )
            yield

    def backward(self, inputs: Inputs, accumulate: int) -> Tensor:
        """Add the gradients of a batch, one of `accumulate`, and return its part of the loss."""
        batch = inputs.batch
        with self._autocast():
            predicted = self._parallel(
                batch.patterson, batch.residues, batch.lengths, inputs.estimate, batch.measured
            )
        loss = self._loss(predicted.float(), batch.density, inputs.blank) / accumulate
        if self._config.loss == "mse" and self._processes.size > 1:
            # Relative to the true maps of the whole batch, as in one process.
            own = batch.density.square().mean()
            loss = loss * (own / self._processes.mean(own).to(own))
        loss.backward()
        return loss.detach()

    def update(self, rate: float) -> None:
        """Change the weights by the gradients, and the average by the weights."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_(self._parameters, self._config.clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        # The first weights are random: the average forgets them faster than later ones.
        decay = min(self._config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)
            for average, own in self._statistics:
                average.copy_(own)

    def forget_gradients(self) -> None:
        """Drop the gradients of a step that failed."""
        self.optimizer.zero_grad(set_to_none=True)

    def _autocast(self) -> torch.autocast:
        # CPUs train in single precision: most have no matrix units for bfloat16.
        enabled = self._config.bf16 and self._device.type != "cpu"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=enabled)


def _statistics(model: nn.Module) -> list[Tensor]:
    """List the running statistics of batch normalisation, which training changes as well."""
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    return [buffer for norm in norms for buffer in norm.buffers()]
