"""Charge flipping of cctbx (`smtbx.ab_initio`), as a program: JOB.json in, RESULT.json out.

Needs cctbx and nothing of this package: importing cctbx after gemmi, numpy or torch crashes.

    PYTHON cctbx_flipping.py JOB.json RESULT.json     run
    PYTHON cctbx_flipping.py version                  print the version of cctbx

The iterator is smtbx's own with its defaults: charge flipping with weak reflections (Oszlanyi &
Suto, Acta Cryst. A61, 147, 2005) on quasi-normalised amplitudes, the threshold at 1.1 standard
deviations of the map. It stops by its own criterion, a phase transition of the skewness of the map
followed by a sharp correlation with the symmetry of the space group. After five starts without one
it gives up, and this script begins again until the time is over. smtbx polishes
a solution by low-density elimination and drops the result; here the same iterations are done last,
and their phases are taken.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

BEGUN = time.monotonic()
REPORT_EVERY = 10  # iterations between looks at the clock


def solving_iterator_class() -> Any:
    """The class of smtbx, with whole numbers of iterations.

    From the third start on it multiplies the number of iterations by 1.5, and `itertools.islice`
    refuses the float.
    """
    from smtbx.ab_initio import charge_flipping

    class SolvingIterator(charge_flipping.solving_iterator):
        _iterations = charge_flipping.solving_iterator.max_solving_iterations

        @property
        def max_solving_iterations(self) -> int:
            return self._iterations

        @max_solving_iterations.setter
        def max_solving_iterations(self, value: float) -> None:
            self._iterations = int(value)

    return SolvingIterator


def amplitudes(job: dict[str, Any]) -> Any:
    """The measured amplitudes as cctbx keeps them."""
    from cctbx import crystal, miller, sgtbx
    from cctbx.array_family import flex

    symmetry = crystal.symmetry(
        unit_cell=tuple(job["cell"]), space_group=sgtbx.space_group(job["hall"])
    )
    indices = flex.miller_index([tuple(index) for index in job["hkl"]])
    chosen = miller.set(symmetry, indices, anomalous_flag=False)
    return chosen.array(data=flex.double(job["f"])).set_observation_type_xray_amplitude()


def prepared(f_obs: Any) -> Any:
    """Amplitudes as smtbx prepares them before it places the solution."""
    merged = f_obs.eliminate_sys_absent().as_non_anomalous_array().merge_equivalents()
    return merged.array()


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run until it converges or the time is over; the result as plain numbers."""
    from cctbx.array_family import flex
    from smtbx.ab_initio import charge_flipping

    random.seed(job["seed"])
    flex.set_random_seed(job["seed"])
    f_obs = amplitudes(job)
    iterator = solving_iterator_class()
    solving: Any = None
    rounds, converged = 0, False
    while not converged and time.monotonic() - BEGUN < job["time_limit"]:
        rounds += 1
        solving = iterator(
            charge_flipping.weak_reflection_improved_iterator(delta=None),
            f_obs,
            normalisations_for=charge_flipping.amplitude_quasi_normalisations,
            yield_during_delta_guessing=True,
            yield_solving_interval=REPORT_EVERY,
        )
        finished = False
        for _ in solving:
            if solving.state is solving.finished:
                finished = True
                break
            if time.monotonic() - BEGUN > job["time_limit"]:
                break
        converged = finished and not solving.max_attempts_exceeded
    flipping = solving.flipping_iterator
    if converged:
        polished = charge_flipping.low_density_elimination_iterator(constant_rho_c=flipping.delta)
        polished.start(f_obs=flipping.f_obs, phases=flipping.f_calc, f_000=0)
        for _ in range(solving.polishing_iterations):
            next(polished)
        placed = charge_flipping.f_calc_symmetrisations(
            prepared(f_obs), polished.f_calc, solving.min_cc_peak_height
        )
        solutions = sorted(placed, key=lambda found: -found[2])
    else:
        polished, solutions = flipping, []
    phased = solutions[0][0] if solutions else polished.f_calc
    return {
        "hall": str(phased.space_group().type().hall_symbol()).split(" (")[0],
        "hkl": [list(index) for index in phased.indices()],
        "phi": list(phased.phases(deg=True).data()),
        "claimed": converged,
        "stopped": "converged" if converged else "time limit",
        "figures": {
            "rounds": rounds,
            "correlation": round(solutions[0][2], 3) if solutions else None,
            "skewness": round(flipping.rho_map.skewness(), 2),
        },
    }


def main() -> None:
    """Run the job of the first argument, or print the version."""
    if sys.argv[1:] == ["version"]:
        import smtbx.ab_initio.charge_flipping  # noqa: F401
        from libtbx.version import get_version

        print(get_version())
        return
    with open(sys.argv[1]) as stream:
        job = json.load(stream)
    result = run(job)
    with open(sys.argv[2], "w") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main()
