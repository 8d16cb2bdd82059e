"""Plain charge flipping as a program: JOB.json in, RESULT.json out.

    PYTHON plain_flipping.py JOB.json RESULT.json

The textbook's loop (Oszlanyi & Suto, Acta Cryst. A60, 134, 2004, and A61, 147, 2005) in P1, one
random start after another: flip what lies below `DELTA` standard deviations of the density; put the
amplitudes back; shift the phases of the weakest reflections by 90 degrees and leave their moduli as
calculated; leave F(000) alone, and reflections that were not measured at zero. Amplitudes come
ready (F, or normalised E) in the job, expanded to P1. Needs only numpy and scipy.

It stops by its own criterion, which the same papers follow by eye: the density becomes skewed, as
that of atoms on an empty ground is. The last map is polished by low-density elimination on F
(Shiono & Woolfson, Acta Cryst. A48, 451, 1992), as Superflip does. The limit is in seconds from
the start of the program.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

BEGUN = time.monotonic()
DELTA = 1.1  # standard deviations of the density
WEAK = 0.2  # fraction of the reflections whose phases are shifted
ITERATIONS = 2000  # of one random start
LOOK_EVERY = 25  # iterations between looks at the skewness and the clock
RISE = 1.3  # skewness of a solution, relative to that of random starts
RANDOM = (50, 100)  # iterations of every start whose skewness is taken as that of random phases
LASTS = 4  # looks for which the skewness must stay high
POLISHING = 20  # iterations of low-density elimination


def smooth_even(at_least: float) -> int:
    """The smallest even product of 2, 3 and 5 that is not below `at_least`."""
    n = int(np.ceil(at_least))
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and n % 2 == 0:
            return n
        n += 1


class Loop:
    """Charge flipping of one list of reflections (one hemisphere of P1)."""

    def __init__(self, hkl: NDArray[np.int64], f: NDArray[np.float64]) -> None:
        self.shape = tuple(smooth_even(2.4 * m) for m in np.abs(hkl).max(axis=0))
        full = np.zeros(self.shape, dtype=np.float32)
        full[tuple(hkl.T)] = full[tuple(-hkl.T)] = f / np.sqrt(np.mean(f**2))
        self.amplitude = full[..., : self.shape[2] // 2 + 1].copy()
        measured = self.amplitude > 0
        limit = np.quantile(self.amplitude[measured], WEAK)
        self.weak = measured & (self.amplitude < limit)
        self.strong = np.where(self.weak, 0, self.amplitude)
        self.total = float(self.strong.sum())

    def start(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Coefficients of the measured amplitudes with the phases of a random density."""
        noise = fft.rfftn(rng.standard_normal(self.shape, dtype=np.float32))
        return np.asarray(self.amplitude * noise / np.maximum(np.abs(noise), 1e-12))

    def density(self, F: NDArray[np.complex64]) -> NDArray[np.float32]:
        """The map of coefficients, on any scale."""
        return np.asarray(fft.irfftn(F, s=self.shape))

    def iterate(self, rho: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Coefficients of the next cycle."""
        flipped = np.where(rho < DELTA * rho.std(), -rho, rho)
        G = fft.rfftn(flipped)
        modulus = np.abs(G)
        F = self.strong * (G / np.maximum(modulus, 1e-12))
        F[self.weak] = 1j * G[self.weak]
        F[0, 0, 0] = G[0, 0, 0]
        return np.asarray(F)

    def polished(
        self, F: NDArray[np.complex64], f: NDArray[np.float64], hkl: NDArray[np.int64]
    ) -> NDArray[np.complex64]:
        """Coefficients after low-density elimination with the amplitudes `f` of `hkl`."""
        own = Loop(hkl, f)
        for _ in range(POLISHING):
            rho = own.density(own.amplitude * np.exp(1j * np.angle(F)))
            F = fft.rfftn(np.where(rho > DELTA * rho.std(), rho, 0))
        return F


def skewness(rho: NDArray[np.float32]) -> float:
    """Third moment of the density in units of its standard deviation."""
    centred = rho - rho.mean()
    return float((centred**3).mean(dtype=np.float64) / centred.std() ** 3)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run until it converges or the time is over; the result as plain numbers."""
    hkl, f = np.array(job["p1_hkl"]), np.array(job["p1_" + job["amplitudes"]])
    loop, rng = Loop(hkl, f), np.random.default_rng(job["seed"])
    starts, iterations, found = 0, 0, False
    best: tuple[float, NDArray[np.complex64]] | None = None
    ground: list[float] = []
    while not found and (best is None or time.monotonic() - BEGUN < job["time_limit"]):
        starts += 1
        F, skews = loop.start(rng), list[float]()
        for i in range(1, ITERATIONS + 1):
            rho = loop.density(F)
            F = loop.iterate(rho)
            if i % LOOK_EVERY:
                continue
            skews.append(skewness(rho))
            if RANDOM[0] <= i <= RANDOM[1]:
                ground.append(skews[-1])
            elif len(skews) > LASTS:
                found = bool(min(skews[-LASTS:]) > RISE * np.median(ground))
            if best is None or found or skews[-1] > best[0]:
                best = skews[-1], F
            if found or time.monotonic() - BEGUN > job["time_limit"]:
                break
        iterations += i
    assert best is not None
    skew, F = best
    F = loop.polished(F, np.array(job["p1_F"]), hkl)
    sign = np.where(hkl[:, 2] < 0, -1, 1)  # the half grid holds l >= 0
    # F(h) = sum rho exp(+2 pi i h.x): the conjugate of numpy's transform
    phi = -sign * np.degrees(np.angle(F[tuple((sign[:, None] * hkl).T)]))
    return {
        "hall": "P 1",
        "hkl": hkl.tolist(),
        "phi": phi.tolist(),
        "claimed": found,
        "stopped": "converged" if found else "time limit",
        "figures": {
            "starts": starts,
            "iterations": iterations,
            "skewness": round(skew, 2),
            "skewness_random": round(float(np.median(ground)), 2) if ground else None,
        },
    }


def main() -> None:
    """Run the job of the first argument."""
    with open(sys.argv[1]) as stream:
        job = json.load(stream)
    result = run(job)
    with open(sys.argv[2], "w") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main()
