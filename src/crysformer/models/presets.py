"""Named networks: the paper's settings, some for a CPU, and some for an accelerator."""

from __future__ import annotations

from dataclasses import replace

from crysformer.errors import UsageError
from crysformer.models.crysformer import CrysFormerConfig
from crysformer.models.density_network import NetworkConfig
from crysformer.models.unet import UNetConfig

#: The paper's dipeptide network (appendix A and the authors' public settings).
DIPEPTIDE = CrysFormerConfig()

#: The paper's 15-residue network: attention over partial structures through 64 landmarks.
FIFTEEN = CrysFormerConfig(n_residues=15, landmarks=64)

#: The paper's baseline, without and with partial structures ("+PS").
UNET = UNetConfig()
UNET_PS = UNetConfig(partial_structures=True)

#: Dipeptides on CPUs. A 1.5 A map is band-limited: a 0.75 A grid (Nyquist) represents it exactly.
#: With 3 A patches that makes about 40 tokens instead of 240.
DIPEPTIDE_SMALL = CrysFormerConfig(
    width=256,
    depth=5,
    heads=8,
    head_width=32,
    feedforward=512,
    partial_patch=12,
    channels=8,
    partial_channels=1,
    kernel=3,
    final_channels=8,
    final_blocks=1,
    final_kernel=3,
    dropout=0.0,
    positions="metric",
    scaling="amplitudes",
    recycling=True,
    steps=4,
    sample_rate=2.0,
)

#: The same with the mask of the measured reflections as input, trained on imperfect data as well.
DIPEPTIDE_ROBUST = replace(DIPEPTIDE_SMALL, conditions=True)

#: The same design for an accelerator: 14 M parameters, 28 MB in half precision.
DIPEPTIDE_LARGE = replace(
    DIPEPTIDE_ROBUST,
    width=384,
    depth=6,
    heads=6,
    head_width=64,
    feedforward=1536,
    channels=16,
    final_channels=16,
    step_channels=32,
    steps=6,
)

#: The same for 15 residues in their cell of 41 x 30 x 24 A: 1,120 patches of 3 A.
FIFTEEN_LARGE = replace(DIPEPTIDE_LARGE, n_residues=15)

PRESETS: dict[str, NetworkConfig] = {
    "dipeptide": DIPEPTIDE,
    "dipeptide-large": DIPEPTIDE_LARGE,
    "dipeptide-robust": DIPEPTIDE_ROBUST,
    "dipeptide-small": DIPEPTIDE_SMALL,
    "dipeptide-unet": UNET,
    "dipeptide-unet-ps": UNET_PS,
    "fifteen": FIFTEEN,
    "fifteen-large": FIFTEEN_LARGE,
}


def preset(name: str) -> NetworkConfig:
    """Look a preset up by name.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; expected one of: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]
