"""Changes to promising poses, from which they are improved again."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import rotate
from crysformer.phasing.sequence_search.random_poses import random_torsions

_MOVES = ("jitter", "backbone", "side", "flip", "turn", "cross", "shift")
_SHARES = (0.2, 0.2, 0.15, 0.1, 0.1, 0.15, 0.1)


def perturbed(kinematics: Kinematics, pose: Pose, generator: torch.Generator) -> Pose:
    """One random change to each pose.

    A jitter of everything; one residue's backbone or side chain drawn again; a peptide plane
    flipped (psi and the next phi by 180 degrees); a chain turned by 180 degrees about one of its
    principal axes or shifted; or a stretch of torsions taken from another pose.
    """
    device = kinematics.device
    if device.type != "cpu":  # cheap beside what follows, and random numbers come from the CPU
        cpu = Pose(pose.torsions.cpu(), pose.rotation.cpu(), pose.translation.cpu())
        changed = perturbed(Kinematics(kinematics.peptides), cpu, generator)
        return changed.to(device)
    p, n = kinematics.peptides, len(pose)
    move = torch.multinomial(torch.tensor(_SHARES), n, True, generator=generator)
    of = {name: move == i for i, name in enumerate(_MOVES)}
    residue = torch.tensor([t.residue for t in p.torsions])
    side = torch.tensor([t.kind.startswith("chi") for t in p.torsions])
    chosen = torch.randint(len(p.codes), (n,), generator=generator)
    here = residue == chosen[:, None]
    fresh = random_torsions(p, n, generator)
    torsions = pose.torsions.clone()

    redraw = (of["backbone"][:, None] & here) | (of["side"][:, None] & here & side)
    torsions = torch.where(redraw, fresh, torsions)
    torsions = torsions + of["flip"][:, None] * _flips(p, chosen)
    other = torch.randint(n, (n,), generator=generator)
    length = torch.randint(1, max(2, len(p.codes) // 2 + 1), (n,), generator=generator)
    stretch = (residue >= chosen[:, None]) & (residue < (chosen + length)[:, None])
    torsions = torch.where(of["cross"][:, None] & stretch, pose.torsions[other], torsions)
    noise = torch.randn(torsions.shape, generator=generator)
    omega = torch.tensor([t.kind == "omega" for t in p.torsions])
    amount = of["jitter"].float()[:, None] * 0.35 + 0.03
    torsions = torsions + noise * amount * ~omega

    changed = Pose(torsions, pose.rotation, pose.translation)
    chains = pose.translation.shape[1]
    turn = torch.randn(n, chains, 3, generator=generator)
    turn = turn * (of["jitter"].float() * 0.2 + 0.02)[:, None, None]
    changed = _moved_back(kinematics, pose, changed)
    rotation = rotate(changed.rotation, turn)
    shift = torch.randn(n, chains, 3, generator=generator)
    one = torch.randint(chains, (n,), generator=generator)
    shifted = of["shift"][:, None] & (torch.arange(chains) == one[:, None])
    size = of["jitter"][:, None] * 0.5 + shifted * 2.0 + 0.05
    changed = Pose(changed.torsions, rotation, changed.translation + shift * size[:, :, None])
    return _turned(kinematics, changed, of["turn"], one, generator)


def _flips(p: Peptides, chosen: Tensor) -> Tensor:
    """180 degrees for psi of the chosen residue and phi of the next, shape (n, K)."""
    psi = torch.tensor([t.residue if t.kind == "psi" else -9 for t in p.torsions])
    phi = torch.tensor([t.residue - 1 if t.kind == "phi" else -9 for t in p.torsions])
    return math.pi * ((psi == chosen[:, None]).float() - (phi == chosen[:, None]).float())


def _moved_back(kinematics: Kinematics, before: Pose, after: Pose) -> Pose:
    """`after` with every chain's centre where it was."""
    p = kinematics.peptides
    count = torch.tensor([p.chain.tolist().count(c) for c in range(len(p.sequences))])
    shift = (kinematics.of_chain @ kinematics.coordinates(before)[0]) - (
        kinematics.of_chain @ kinematics.coordinates(after)[0]
    )
    return Pose(
        after.torsions, after.rotation, after.translation + shift / count[:, None].to(shift)
    )


def _turned(
    kinematics: Kinematics,
    pose: Pose,
    which: Tensor,
    chains: Tensor,
    generator: torch.Generator,
) -> Pose:
    """Some poses with one chain each turned by 180 degrees about one of its principal axes."""
    rotation = pose.rotation.clone()
    for chain in range(rotation.shape[1]):
        rows = (which & (chains == chain)).nonzero()[:, 0]
        if not len(rows):
            continue
        xyz = kinematics.coordinates(pose[rows])[0][:, kinematics.of_chain[chain] > 0]
        centred = xyz - xyz.mean(1, keepdim=True)
        axes = torch.linalg.eigh(centred.mT @ centred)[1].mT
        axis = axes[torch.arange(len(rows)), torch.randint(3, (len(rows),), generator=generator)]
        rotation[rows, chain] = rotate(rotation[rows, chain], math.pi * axis)
    return _moved_back(kinematics, pose, Pose(pose.torsions, rotation, pose.translation))
