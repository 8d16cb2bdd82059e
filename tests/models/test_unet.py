"""The baseline U-Net: size, shapes, and the partial structures as maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crysformer.crystal.fourier.grids import density_from_grid
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factor_grid
from crysformer.data.examples.residue_densities import residue_templates
from crysformer.models.density_network import n_parameters
from crysformer.models.partial_maps import partial_maps
from crysformer.models.presets import preset
from crysformer.models.registry import make_network
from crysformer.models.unet import SqueezeExcitationBlock, UNet, UNetConfig
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates


@pytest.mark.parametrize(("name", "maps"), [("dipeptide-unet", 1), ("dipeptide-unet-ps", 3)])
def test_parameter_count_of_the_published_layers(name: str, maps: int) -> None:
    def convolution(n_in: int, n_out: int, kernel: int) -> int:
        return n_in * n_out * kernel**3 + n_out

    def norm(n: int) -> int:
        return 2 * n

    block = 2 * (convolution(30, 30, 7) + norm(30)) + (30 * 15 + 15) + (15 * 30 + 30)
    expected = (
        convolution(maps, 25, 7) + norm(25) + convolution(25, 30, 7) + norm(30)
        + 8 * block
        + convolution(30, 25, 5) + norm(25) + convolution(25, 1, 5)
    )  # fmt: skip
    with torch.device("meta"):
        model = make_network(preset(name))
    assert n_parameters(model) == expected


def test_shapes_of_the_layers() -> None:
    model = UNet(UNetConfig(kernel=3, blocks=2), residue_templates()).eval()
    seen: dict[str, torch.Size] = {}
    for name in ("first", "middle", "last"):
        getattr(model, name).register_forward_hook(
            lambda _, args, out, name=name: seen.update({name: out.shape})
        )
    patterson = torch.randn(2, 1, 12, 10, 8)
    density = model(patterson, torch.tensor([[0, 1], [2, 3]]), torch.full((2, 3), 9.0))
    assert seen == {
        "first": (2, 30, 6, 5, 4),
        "middle": (2, 30, 6, 5, 4),
        "last": (2, 1, 12, 10, 8),
    }
    assert density.shape == patterson.shape
    assert density.abs().max() <= 1  # tanh times a scale of 1
    with pytest.raises(ValueError, match="multiples of 2"):
        model(torch.randn(2, 1, 12, 10, 7), torch.zeros(2, 2, dtype=int), torch.ones(2, 3))


def test_periodic_up_to_the_upsampling() -> None:
    torch.manual_seed(0)
    model = UNet(UNetConfig(kernel=3, blocks=1), residue_templates()).eval()
    x = torch.randn(1, 1, 8, 8, 8)
    hidden = model.middle(model.first(x))
    moved = model.middle(model.first(x.roll((2, 4, 6), (2, 3, 4))))
    torch.testing.assert_close(hidden.roll((1, 2, 3), (2, 3, 4)), moved, rtol=1e-4, atol=1e-5)


def test_a_block_weights_channels_by_their_means() -> None:
    block = SqueezeExcitationBlock(4, 1, 2).eval()
    block.block = nn.Identity()
    nn.init.zeros_(block.excite.weight)
    nn.init.constant_(block.excite.bias, 100.0)  # all weights are 1: x + x
    x = torch.rand(1, 4, 2, 2, 2)
    torch.testing.assert_close(block(x), 2 * x)


def test_partial_maps_are_the_densities_of_residues_at_the_cell_centre() -> None:
    """Compare with structure factors of the residue's own atoms in that cell."""
    lengths = torch.tensor([[14.0, 12.0, 11.0]], dtype=torch.float64)
    grid = (56, 48, 44)  # 0.25 A
    index = residues.INDEX["TRP"]
    atoms = [j for j, atom in enumerate(residues.ATOMS[index]) if atom != "O"]
    number = torch.from_numpy(residues.NUMBERS[index, atoms].astype("int64"))
    xyz = torch.as_tensor(template_coordinates()["TRP"][atoms])
    mass = torch.as_tensor(residues.MASSES)[number]
    centred = xyz - (mass[:, None] * xyz).sum(0) / mass.sum()
    batch = AtomBatch(
        frac=(centred / lengths + 0.5)[None],
        number=number[None],
        b_iso=torch.full((1, len(atoms)), 20.0, dtype=torch.float64),
        occupancy=torch.ones(1, len(atoms), dtype=torch.float64),
    )
    F = structure_factor_grid(batch, torch.diag(lengths[0]), grid, 1.5)
    expected = density_from_grid(F, grid, float(lengths.prod()))
    templates = residue_templates(dtype=torch.float64)
    found = partial_maps(templates, torch.tensor([[index]]), lengths, grid)
    pair = torch.stack((expected.flatten(), found.flatten()))
    assert float(torch.corrcoef(pair)[0, 1]) > 0.98
    other = partial_maps(templates, torch.tensor([[residues.INDEX["LEU"]]]), lengths, grid)
    assert float(torch.corrcoef(torch.stack((expected.flatten(), other.flatten())))[0, 1]) < 0.8


@pytest.mark.parametrize("scaling", ["constant", "amplitudes"])
def test_partial_maps_are_as_strong_as_the_patterson_map(scaling: str) -> None:
    """A first convolution over both would not see the weaker of them."""
    lengths = torch.tensor([[10.0, 8.0, 8.0], [12.0, 9.0, 8.0]])
    pairs, grid = torch.tensor([[0, 4], [17, 10]]), (20, 16, 16)
    templates = residue_templates()
    density = partial_maps(templates, pairs, lengths, grid).sum(1)
    F = torch.fft.rfftn(density, dim=(1, 2, 3))
    F[:, 0, 0, 0] = 0
    volume = lengths.prod(1).reshape(-1, 1, 1, 1)
    patterson = torch.fft.irfftn(F.abs() ** 2 + 0j, s=grid, dim=(1, 2, 3))
    patterson = patterson[:, None] * (volume / density[0].numel())[:, None]
    scales = {"patterson_scale": float(patterson.max()), "density_scale": float(density.max())}
    model = UNet(
        UNetConfig(kernel=3, blocks=1, partial_structures=True, scaling=scaling, **scales),
        templates,
    )
    seen = []
    model.first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model(patterson, pairs, lengths)
    rms = seen[0].square().mean((0, 2, 3, 4)).sqrt()
    assert len(rms) == model.scaling.channels + 2
    assert 0.2 < float(rms[-2:].mean() / rms[0]) < 4
