"""What all networks have in common: their settings, their inputs and the call that predicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from crysformer.errors import UsageError
from crysformer.models.input_scaling import AmplitudeScaling, ConstantScaling
from crysformer.models.layers import Grid
from crysformer.models.phase_improvement import unit_rms
from crysformer.settings import check_ranges, setting

TEMPLATE_GRID = 24


@dataclass(frozen=True)
class NetworkConfig:
    """Settings that every network has; those of an architecture are a subclass.

    Raises
    ------
    UsageError
        If a value is out of its range, or settings contradict each other.
    """

    n_residues: int = setting(2, "Residues J in a sequence.", min=1, max=200)
    patch: int = setting(
        4,
        "Edges of the grids are multiples of it: edge of the cubes that maps are cut into.",
        unit="voxels",
        min=1,
        max=16,
    )
    scaling: Literal["constant", "amplitudes"] = setting(
        "constant",
        "constant: one constant a data set, tanh at the end. amplitudes: each example's own "
        "amplitudes set all scales (`AmplitudeScaling`).",
    )
    patterson_scale: float = setting(
        1.0, "Constant of the Patterson maps.", unit="e^2/A^3", min=1e-6, max=1e9
    )
    density_scale: float = setting(
        1.0, "Constant of the densities.", unit="e/A^3", min=1e-6, max=1e9
    )
    recycling: bool = setting(
        False, "Takes an estimate of the density as one more input map (the paper's +R)."
    )
    conditions: bool = setting(
        False,
        "Takes the mask of the measured reflections: one more input map, their point spread "
        "function, and steps that leave the other amplitudes free.",
    )
    d_min: float = setting(1.5, "Resolution of the data.", unit="A", min=0.5, max=10)
    sample_rate: float = setting(
        3.0, "Grid points per d_min of the maps it was trained on.", min=2, max=10
    )
    b_iso: float = setting(
        20.0, "Displacement parameter of the training crystals.", unit="A^2", min=0, max=1000
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.conditions and self.scaling != "amplitudes":
            raise UsageError("a network for conditions needs scaling = 'amplitudes'")

    def with_scales(self, patterson: float, density: float) -> NetworkConfig:
        """Return the settings with the constants of a data set, if the network uses constants.

        Parameters
        ----------
        patterson, density
            Scales of the maps of the data set.

        Returns
        -------
        NetworkConfig
            These settings where the network uses no constants.
        """
        if self.scaling != "constant":
            return self
        return replace(self, patterson_scale=patterson, density_scale=density)


class DensityNetwork(nn.Module):
    """A network that predicts densities from Patterson maps; a subclass is one architecture.

    A subclass sets `Config`, builds its layers in `__init__(config, templates)` and implements
    `forward`. One from outside is trained as ``package.module:Class`` (`models.registry`).

    Parameters
    ----------
    config
        Settings, an instance of `Config`.
    templates
        Standalone densities of the 20 residues in the order of `residues.CODES`, shape
        (20, 24, 24, 24), e/A^3; None leaves them to be loaded with the weights.

    Attributes
    ----------
    scaling
        Scaling of input maps and output.
    input_channels
        Channels of `input_maps`.
    estimate_channel
        The channel that holds the estimate, in networks with recycling.
    templates
        The residue densities, a buffer, so that weights are complete without other files.
    checkpointing
        Recompute layers in the backward pass to save memory, where the architecture can.
    """

    Config: ClassVar[type[NetworkConfig]] = NetworkConfig

    config: Any
    templates: Tensor

    def __init__(self, config: NetworkConfig, templates: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.scaling: ConstantScaling | AmplitudeScaling = (
            ConstantScaling(config.patterson_scale, config.density_scale)
            if config.scaling == "constant"
            else AmplitudeScaling(config.d_min, config.b_iso)
        )
        if templates is None:
            templates = torch.zeros(20, TEMPLATE_GRID, TEMPLATE_GRID, TEMPLATE_GRID)
        self.register_buffer("templates", templates.float())
        self.estimate_channel = self.scaling.channels
        self.input_channels = self.scaling.channels + config.recycling + config.conditions

    def __repr__(self) -> str:
        n = sum(parameter.numel() for parameter in self.parameters())
        return f"<{type(self).__name__}: {n / 1e6:.2f} M parameters, {self.config}>"

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Modules of equal structure, to be compiled one by one; none by default."""
        return ()

    def forward(
        self,
        patterson: Tensor,
        residues: Tensor,
        lengths: Tensor,
        estimate: Tensor | None = None,
        measured: Tensor | None = None,
    ) -> Tensor:
        """Predict densities.

        Parameters
        ----------
        patterson
            Patterson maps, shape (B, 1, U, V, W), e^2/A^3; U, V, W multiples of the patch.
        residues
            The sequences, shape (B, J), indices into `residues.CODES`.
        lengths
            Cell edges, shape (B, 3), A.
        estimate
            Estimates of the densities, shape (B, 1, U, V, W), any scale; zero or None where
            there is none. Used by networks with recycling only.
        measured
            Mask of the measured reflections, half grid (B, U, V, W // 2 + 1); None if all are
            measured. Used by networks with `conditions` only.

        Returns
        -------
        Tensor
            Densities, shape (B, 1, U, V, W), e/A^3, the molecule's centre of mass at the cell
            centre.
        """
        raise NotImplementedError

    @contextmanager
    def sharing(self, residues: Tensor) -> Iterator[None]:
        """Do what depends on weights and sequences alone once for several passes, where possible.

        Weights must not change inside, and their gradients are complete only at the end.

        Parameters
        ----------
        residues
            Sequences of all examples of these passes, shape (B, J).

        Returns
        -------
        A context in which the passes are made.
        """
        yield

    def input_maps(
        self,
        patterson: Tensor,
        lengths: Tensor,
        estimate: Tensor | None,
        measured: Tensor | None,
    ) -> Tensor:
        """Stack the input channels: Patterson map, estimate, mask of measured reflections.

        Parameters
        ----------
        patterson, lengths, estimate, measured
            As for `forward`.

        Returns
        -------
        Tensor
            Shape (B, C, U, V, W); C is `input_channels`.
        """
        maps = [self.scaling.inputs(patterson, lengths)]
        if self.config.recycling:
            blank = torch.zeros_like(patterson) if estimate is None else unit_rms(estimate)
            maps.append(blank)
        mask = self.measured_mask(lengths, patterson.shape, measured)
        if mask is not None and isinstance(self.scaling, AmplitudeScaling):
            nu, nv, nw = patterson.shape[-3:]
            maps.append(self.scaling.point_spread(mask, (nu, nv, nw)))
        return torch.cat(maps, dim=1)

    def measured_mask(
        self, lengths: Tensor, shape: Sequence[int], measured: Tensor | None
    ) -> Tensor | None:
        """Mask of measured reflections, as the network uses it.

        Parameters
        ----------
        lengths, measured
            As for `forward`.
        shape
            Of the maps; the last three count.

        Returns
        -------
        Tensor or None
            None without `conditions`; all reflections to the resolution of the network by default.
        """
        if not self.config.conditions:
            return None
        if measured is None and isinstance(self.scaling, AmplitudeScaling):
            nu, nv, nw = shape[-3:]
            return self.scaling.sphere(lengths, (nu, nv, nw))
        return measured

    def check(self, patterson: Tensor, residues: Tensor) -> Grid:
        """Return the grid, after a check of the shapes.

        Parameters
        ----------
        patterson, residues
            As for `forward`.

        Returns
        -------
        tuple of int
            Points along the axes.

        Raises
        ------
        ValueError
            If they are not those that the network takes.
        """
        b, channels, *grid = patterson.shape
        if channels != 1 or any(n % self.config.patch for n in grid):
            raise ValueError(
                f"patterson has shape {tuple(patterson.shape)}, expected (B, 1, U, V, W) with "
                f"U, V, W multiples of {self.config.patch}"
            )
        if residues.shape != (b, self.config.n_residues):
            raise ValueError(
                f"residues has shape {tuple(residues.shape)}, expected "
                f"({b}, {self.config.n_residues})"
            )
        return grid[0], grid[1], grid[2]


def require_odd(config: NetworkConfig, *names: str) -> None:
    """Check that kernels have a middle.

    Raises
    ------
    UsageError
        If one of the settings is even.
    """
    for name in names:
        if getattr(config, name) % 2 == 0:
            raise UsageError(f"{name} is {getattr(config, name)}, expected an odd number")


def start_flat(last: nn.Module, scaling: nn.Module) -> None:
    """Zero the last convolution of a network with constant scales, which then predicts flat maps.

    Random weights would start at a loss of ten times that. Scaling by amplitudes gives every map
    the right rms, so that a flat one has no direction to go.
    """
    if isinstance(last, nn.Conv3d) and isinstance(scaling, ConstantScaling):
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)


def n_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
