"""Trial moves of poses (Monte Carlo): torsions, peptide flips, crossover, rotations and shifts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import rotate
from crysformer.phasing.sequence_search.random_poses import random_torsions
from crysformer.settings import setting

# Noise added to every move, so that each changes something: standard deviations, rad, rad, A.
_TORSION_NOISE, _ROTATION_NOISE, _SHIFT_NOISE = 0.03, 0.02, 0.05


@dataclass(frozen=True)
class TrialMoveSettings:
    """Frequencies of the moves, relative to each other, and their sizes."""

    jitter: float = setting(0.2, "Frequency of a jitter of everything.", min=0.0, max=1.0)
    backbone: float = setting(
        0.2, "Frequency of one residue drawn again at random.", min=0.0, max=1.0
    )
    side_chain: float = setting(
        0.15, "Frequency of one side chain drawn again at random.", min=0.0, max=1.0
    )
    flip: float = setting(0.1, "Frequency of a peptide plane flipped.", min=0.0, max=1.0)
    half_turn: float = setting(
        0.1,
        "Frequency of a chain rotated by 180 degrees about a principal axis.",
        min=0.0,
        max=1.0,
    )
    crossover: float = setting(
        0.15,
        "Frequency of crossover of a torsion segment with another pose.",
        min=0.0,
        max=1.0,
    )
    shift: float = setting(0.1, "Frequency of a chain shifted.", min=0.0, max=1.0)
    jitter_torsion: float = setting(
        0.35, "Standard deviation of torsions in a jitter.", unit="rad", min=0.0, max=3.2
    )
    jitter_rotation: float = setting(
        0.2, "Standard deviation of orientations in a jitter.", unit="rad", min=0.0, max=3.2
    )
    jitter_shift: float = setting(
        0.5, "Standard deviation of positions in a jitter.", unit="A", min=0.0, max=20.0
    )
    shift_size: float = setting(
        2.0, "Standard deviation of a shift along each axis.", unit="A", min=0.0, max=20.0
    )

    def __post_init__(self) -> None:
        if not any(self.frequencies.values()):
            raise ValueError("no trial move has a frequency above zero")

    @property
    def frequencies(self) -> dict[str, float]:
        """Relative frequency of each move by name."""
        names = ("jitter", "backbone", "side_chain", "flip", "half_turn", "crossover", "shift")
        return {name: getattr(self, name) for name in names}


def propose(
    kinematics: Kinematics,
    pose: Pose,
    generator: torch.Generator,
    *,
    settings: TrialMoveSettings | None = None,
) -> Pose:
    """Apply one random move to each pose, and a little noise.

    Parameters
    ----------
    kinematics
        The chains.
    pose
        Poses to change; they are left as they are.
    generator
        Random generator on the CPU.
    settings
        Frequencies and sizes of the moves.
    """
    s = settings or TrialMoveSettings()
    device = kinematics.device
    if device.type != "cpu":  # cheap beside what follows, and random numbers come from the CPU
        on_cpu = Kinematics(kinematics.peptides)
        return propose(on_cpu, pose.to(torch.device("cpu")), generator, settings=s).to(device)
    n, n_chains = len(pose), pose.translation.shape[1]
    frequencies = torch.tensor(list(s.frequencies.values()))
    move = torch.multinomial(frequencies, n, True, generator=generator)
    chosen = {name: move == i for i, name in enumerate(s.frequencies)}
    jitter = chosen["jitter"].float()

    torsions = _torsion_moves(kinematics.peptides, pose.torsions, chosen, generator, s)
    changed = Pose(torsions, pose.rotation, pose.translation)
    about = torch.randn(n, n_chains, 3, generator=generator)
    about = about * (jitter * s.jitter_rotation + _ROTATION_NOISE)[:, None, None]
    changed = _recentred(kinematics, pose, changed)
    rotation = rotate(changed.rotation, about)
    shift = torch.randn(n, n_chains, 3, generator=generator)
    chain = torch.randint(n_chains, (n,), generator=generator)
    shifted = chosen["shift"][:, None] & (torch.arange(n_chains) == chain[:, None])
    size = jitter[:, None] * s.jitter_shift + shifted * s.shift_size + _SHIFT_NOISE
    changed = Pose(changed.torsions, rotation, changed.translation + shift * size[:, :, None])
    return _half_turns(kinematics, changed, chosen["half_turn"], chain, generator)


def _torsion_moves(
    p: Peptides,
    old: Tensor,
    chosen: dict[str, Tensor],
    generator: torch.Generator,
    s: TrialMoveSettings,
) -> Tensor:
    """Torsions (n, K) after the moves that change them; `chosen` has flags (n,) by name of move."""
    n = len(old)
    residue = torch.tensor([t.residue for t in p.torsions])
    side = torch.tensor([t.kind.startswith("chi") for t in p.torsions])
    omega = torch.tensor([t.kind == "omega" for t in p.torsions])
    start = torch.randint(len(p.codes), (n,), generator=generator)
    here = residue == start[:, None]
    fresh = random_torsions(p, n, generator)
    redraw = (chosen["backbone"][:, None] & here) | (chosen["side_chain"][:, None] & here & side)
    torsions = torch.where(redraw, fresh, old)
    torsions = torsions + chosen["flip"][:, None] * _flips(p, start)
    other = torch.randint(n, (n,), generator=generator)
    length = torch.randint(1, max(2, len(p.codes) // 2 + 1), (n,), generator=generator)
    segment = (residue >= start[:, None]) & (residue < (start + length)[:, None])
    torsions = torch.where(chosen["crossover"][:, None] & segment, old[other], torsions)
    noise = torch.randn(torsions.shape, generator=generator)
    amount = chosen["jitter"].float()[:, None] * s.jitter_torsion + _TORSION_NOISE
    return torsions + noise * amount * ~omega


def _flips(p: Peptides, chosen: Tensor) -> Tensor:
    """Changes (n, K), radians, that flip the peptide plane after residues `chosen` (n,).

    180 degrees for psi of the residue and minus as much for phi of the next.
    """
    none = -9
    psi = torch.tensor([t.residue if t.kind == "psi" else none for t in p.torsions])
    phi = torch.tensor([t.residue - 1 if t.kind == "phi" else none for t in p.torsions])
    return math.pi * ((psi == chosen[:, None]).float() - (phi == chosen[:, None]).float())


def _recentred(kinematics: Kinematics, before: Pose, after: Pose) -> Pose:
    """`after` with the centroid of every chain as in `before`."""
    p = kinematics.peptides
    count = torch.tensor([p.chain.tolist().count(c) for c in range(len(p.sequences))])
    shift = (kinematics.of_chain @ kinematics.coordinates(before)[0]) - (
        kinematics.of_chain @ kinematics.coordinates(after)[0]
    )
    return Pose(
        after.torsions, after.rotation, after.translation + shift / count[:, None].to(shift)
    )


def _half_turns(
    kinematics: Kinematics,
    pose: Pose,
    chosen: Tensor,
    chains: Tensor,
    generator: torch.Generator,
) -> Pose:
    """Poses where one chain of each chosen one is rotated by 180 degrees about a principal axis."""
    rotation = pose.rotation.clone()
    for chain in range(rotation.shape[1]):
        rows = (chosen & (chains == chain)).nonzero()[:, 0]
        if not len(rows):
            continue
        xyz = kinematics.coordinates(pose[rows])[0][:, kinematics.of_chain[chain] > 0]
        centred = xyz - xyz.mean(1, keepdim=True)
        axes = torch.linalg.eigh(centred.mT @ centred)[1].mT
        axis = axes[torch.arange(len(rows)), torch.randint(3, (len(rows),), generator=generator)]
        rotation[rows, chain] = rotate(rotation[rows, chain], math.pi * axis)
    return _recentred(kinematics, pose, Pose(pose.torsions, rotation, pose.translation))
