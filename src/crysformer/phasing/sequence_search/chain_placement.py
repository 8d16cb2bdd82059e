"""Translation scan of one chain with the others fixed."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.miller_box import sum_over_symmetry
from crysformer.phasing.sequence_search.random_poses import random_poses

_STRUCTURE_FACTORS_AT_ONCE = 3e5  # models times positions times reflections, in memory


def replace_one_chain(
    kinematics: Kinematics,
    pose: Pose,
    target: AmplitudeTarget,
    shifts: Tensor,
    trials: int,
    generator: torch.Generator,
) -> Pose:
    """Place one chain of each pose again, all others fixed.

    Random conformations and orientations are tried at every position of a grid, and the best is
    taken. Half of them have the conformation of another chain of the same sequence, if there is
    one.

    Parameters
    ----------
    kinematics
        The chains.
    pose
        Poses to change.
    target
        Amplitudes, at low resolution because positions are not refined.
    shifts
        Positions of the grid, Cartesian, A, shape (S, 3).
    trials
        Number of orientations for each pose.
    generator
        Random generator on the CPU.
    """
    p, n, device = kinematics.peptides, len(pose), kinematics.device
    chain_of = torch.tensor([c for c, chain in enumerate(p.chains) for _ in chain.letters])
    of_torsion = chain_of[torch.tensor([t.residue for t in p.torsions])]
    chosen = torch.randint(len(p.sequences), (n,), generator=generator).repeat_interleave(trials)
    fresh = random_poses(p, n * trials, torch.eye(3), generator)
    old = pose[torch.arange(n, device=device).repeat_interleave(trials)]
    torsions = fresh.torsions.to(device)
    for chain, sequence in enumerate(p.sequences):
        alike = [c for c, other in enumerate(p.sequences) if other == sequence and c != chain]
        if not alike:
            continue
        source = torch.randint(1, 1 + len(alike), (n * trials,), generator=generator)
        columns = torch.stack([(of_torsion == c).nonzero()[:, 0] for c in (chain, *alike)])
        rows = ((chosen == chain) & (torch.arange(n * trials) % 2 == 0)).nonzero()[:, 0]
        taken = old.torsions[rows[:, None].to(device), columns[source[rows]].to(device)]
        torsions[rows[:, None].to(device), columns[0].to(device)] = taken
    own = (of_torsion == chosen[:, None]).to(device)
    here = (torch.arange(len(p.sequences)) == chosen[:, None]).to(device)
    tried = Pose(
        torch.where(own, torsions, old.torsions),
        torch.where(here[..., None, None], fresh.rotation.to(device), old.rotation),
        torch.where(here[..., None], fresh.translation.to(device), old.translation),
    )
    moving = kinematics.of_chain[chosen.to(device)] > 0
    score, place = scan_translations(target, kinematics.coordinates(tried)[0], moving, shifts).max(
        1
    )
    best = score.view(n, trials).argmax(1) + trials * torch.arange(n, device=device)
    shift = shifts.to(device)[place[best]]
    found = tried[best]
    shifted = found.translation + here[best][..., None] * shift[:, None]
    return Pose(found.torsions, found.rotation, shifted)


def scan_translations(
    target: AmplitudeTarget, xyz: Tensor, moving: Tensor, shifts: Tensor
) -> Tensor:
    """Scores with some atoms of each model shifted, all others fixed.

    The penalty of overlap is summed over measured reflections only.

    Parameters
    ----------
    target
        Amplitudes.
    xyz
        Cartesian coordinates, A, shape (B, n, 3).
    moving
        True for the atoms that are shifted, shape (B, n).
    shifts
        Shifts, Cartesian, A, shape (S, 3).

    Returns
    -------
    Tensor
        Shape (B, S).
    """
    rows = target.weight.nonzero()[:, 0]
    place = torch.zeros_like(target.weight, dtype=torch.int64)
    place[rows] = torch.arange(len(rows), device=rows.device)
    mates = [
        (place[index[rows]], shift[:, rows], sign[rows]) for index, shift, sign in target.mates
    ]
    fractional = shifts.to(xyz) @ target.to_frac.mT
    x, y, z = (fractional[:, i, None] * wave for i, wave in enumerate(target.waves))
    angle = x[:, :, None, None] + y[:, None, :, None] + z[:, None, None, :]
    angle = angle.flatten(1)[:, rows]
    cosine, sine = angle.cos(), angle.sin()
    scores: list[Tensor] = []
    part = max(1, int(_STRUCTURE_FACTORS_AT_ONCE / cosine.numel()))
    for some, which in zip(xyz.split(part), moving.split(part), strict=True):
        fixed, moved = (target.asymmetric(some, mask)[0][:, :, rows] for mask in (~which, which))
        mr, mi = moved[:, :1], moved[:, 1:]
        total = fixed[:, None].repeat(1, len(shifts), 1, 1)
        total[:, :, 0].addcmul_(mr, cosine).addcmul_(mi, sine, value=-1)
        total[:, :, 1].addcmul_(mr, sine).addcmul_(mi, cosine)
        fr, fi = sum_over_symmetry(total.flatten(0, 1), mates)
        scores.append(target.rate(fr, fi, rows)[2].view(len(some), -1))
    return torch.cat(scores)
