"""Simulated problems on published designs, to measure how often the search of closed-form laws misses the best optimum.

Run ``python -m tests.reference.closed_problems --each 12`` for the table (two losses, 20 designs); ``--scipy 40`` times
SciPy's multi-start on a part of them in the same run. The brute force descends from 101 starts that nothing has
selected: 70 of the starts' generator, 30 around the truth, and the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import optimize

from scalefit.closed.descent import Misfit, descend
from scalefit.closed.design import Array, ClosedDesign
from scalefit.closed.search import search_closed
from scalefit.closed.starts import Starter
from scalefit.closed_problem import build_closed
from scalefit.law.general import parse_law
from scalefit.options import Rows

DELTA: Final = 1e-3
MISSED: Final = 1e-7  # of the objective
REPEATED: Final = (
    "loss ~ 1.8691436784054858 + 520.8249516599187/(UN*(1 + rN*(1 - exp(-max(params/UN - 1, 0)/rN))))^0.3526596 + "
    "1487.716093782861/(unique_tokens*(1 + rD*(1 - exp(-max(tokens/unique_tokens - 1, 0)/rD))))^0.3526596 "
    "where UN = min(params, 0.050986517653658275*unique_tokens)"
)
MIXING: Final = (
    "loss_academic ~ c + exp(t1*r_academic + t2*r_prose + t3*r_dialogue + t4*r_symbolic + t5*r_internet) with c free"
)
BROKEN: Final = "loss ~ a + b*examples^(-c0)*(1 + (examples/d1)^(1/f1))^(-c1*f1) with c0 free, c1 free"


ALL: Final = Rows()


@dataclass(frozen=True)
class Origin:
    """Where a design comes from: law, data set, rows and space of the residuals."""

    name: str
    law: str
    data: str
    rows: Rows = ALL
    space: str = "log"


def _sft(task: str, model: str) -> Origin:
    where = f"task == {task!r} and model == {model!r} and examples > 0"
    return Origin(f"rectified, {model.rpartition('/')[2]}", "rectified", "sft", Rows(where=where))


ROUTED: Final = Rows(where="router_type == 'S-Base' and experts_per_token == 1 and routing_frequency == 0.5")
# The designs of sixteen published fits, that of the broken law below; the two in EXTRA are designs without one.
ORIGINS: Final = (
    Origin("annealing", "annealing", "annealing"),
    Origin("kaplan", "kaplan", "chinchilla", Rows(drop_highest_loss=5)),
    Origin("learning rate", "power_product", "steplaw_optimum"),
    Origin("batch size", "batch ~ c*tokens^b with b free", "steplaw_optimum"),
    Origin(
        "sigmoid", "sigmoid_accuracy", "ladder_curves", Rows(where="task == 'hellaswag' and mode == 'train'"), "linear"
    ),
    _sft("flan", "MBZUAI/LaMini-GPT-124M"),
    _sft("flan", "facebook/bart-large-cnn"),
    _sft("flan", "gpt2-xl"),
    _sft("flan", "google/mt5-large"),
    _sft("gigaword", "cerebras/Cerebras-GPT-2.7B"),
    Origin("mixing", MIXING, "mixing", space="linear"),
    Origin("parscale", "parscale", "parscale"),
    Origin("data-constrained", REPEATED, "datablations"),
    Origin("routed", "routed", "routed", ROUTED),
    Origin("vocabulary", "vocabulary", "vocabulary", Rows(where="flops >= 2.18e17"), "linear"),
)
EXTRA: Final = (
    Origin("coupled", "coupled", "chinchilla", Rows(drop_highest_loss=5)),
    Origin("chinchilla, written oddly", "loss ~ E + exp(logA)*params^(-alpha) + B/tokens^beta", "chinchilla",
           Rows(drop_highest_loss=5)),
)  # fmt: skip
# Addition of four digits, figure 4 left of Caballero et al. 2022 (arXiv:2210.14891)
EXAMPLES: Final = (160, 192, 256, 320, 384, 448, 480, 512, 544, 576, 608, 640, 672, 736, 800, 864, 928)
LOSSES: Final = (
    2.13809046, 2.11813418, 2.08955508, 2.06988398, 2.05404987, 2.03837089, 2.02814281, 2.00496872, 1.95576149,
    1.86313841, 1.70891537, 1.50637664, 1.29754721, 0.96559684, 0.75856477, 0.64768338, 0.55695445,
)  # fmt: skip


def designs(*, extra: bool = False) -> Iterator[tuple[str, ClosedDesign, Array, float]]:
    """Yield name, design, vector of the fit and scatter of each problem."""
    for origin in (*ORIGINS, *(EXTRA if extra else ())):
        law, table = origin.rows.bind(origin.data, origin.law, space=origin.space)
        frame = table.frame
        if origin.name == "sigmoid":  # the fit that is published has one ideal row: no loss at all, every answer right
            frame = pd.concat([frame, pd.DataFrame({"bpb": [0.0], "acc": [1.0]})], ignore_index=True)
        yield _with_fit(origin.name, build_closed(law, frame, space=origin.space).design)
    law = parse_law(BROKEN).decided(["examples", "loss"])
    frame = pd.DataFrame({"examples": np.array(EXAMPLES, dtype=float), "loss": LOSSES})
    yield _with_fit("broken", build_closed(law, frame).design)


def _with_fit(name: str, design: ClosedDesign) -> tuple[str, ClosedDesign, Array, float]:
    found = search_closed(design)[0]
    degrees = max(1, len(design.response) - design.n_parameters)
    return name, design, found.theta, float(np.sqrt(2 * found.value / degrees))


def simulated(design: ClosedDesign, theta: Array, noise: float, seed: int) -> tuple[ClosedDesign, Array]:
    """Draw a truth around a fit, and data with normal or Student-t errors of half to twice the published scatter."""
    for attempt in range(100):
        rng = np.random.default_rng([seed, attempt])
        truth = theta + np.where(design.is_log, 0.3, 0.2 * np.abs(theta)) * rng.standard_normal(len(theta))
        truth = np.clip(truth, *design.box)
        size = noise * np.exp(rng.uniform(-0.7, 0.7))
        error = rng.standard_normal(len(design.response)) if seed % 2 else rng.standard_t(3, len(design.response))
        fitted = design.target - Misfit(design.plain).residual(truth[None])[0] + size * error
        with np.errstate(over="ignore"):
            response = np.exp(fitted) if design.log_space else fitted
        if np.isfinite(response).all() and response.std() < 30 * design.response.std():
            return _with_response(design, response), truth
    raise AssertionError(f"no truth near the fit has finite predictions: {design.parameters}")


def _with_response(design: ClosedDesign, response: Array) -> ClosedDesign:
    return ClosedDesign(
        design.expression, design.parameters, design.columns, response, design.weight, design.log_space,
        design.lower, design.upper, design.is_log, design.codes, design.n_levels,
    )  # fmt: skip


def brute(design: ClosedDesign, truth: Array, delta: float, seed: int) -> float:
    """Descend from 101 starts that nothing has selected; for Huber's loss through the squares and at once."""
    rng = np.random.default_rng([seed, 1])
    around = truth + np.where(design.is_log, 0.5, 0.3 * np.abs(truth)) * rng.standard_normal((30, len(truth)))
    starts = np.vstack([Starter(design).draw(70, seed + 10_000), np.clip(around, *design.box), truth])
    misfit = Misfit(design.centred)
    z = design.centred.from_vector(starts)
    z = z[np.isfinite(z).all(axis=1)]
    squares = descend(misfit, z, delta=np.inf, exact=False, limit=100)
    ends = [descend(misfit, squares.z, delta=delta, exact=True, limit=200)]
    if np.isfinite(delta):
        for width in (100 * delta, 10 * delta):
            squares = descend(misfit, squares.z, delta=width, exact=False, limit=40)
        ends.append(descend(misfit, squares.z, delta=delta, exact=True, limit=200))
        direct = descend(misfit, z, delta=delta, exact=False, limit=60)
        ends.append(descend(misfit, direct.z, delta=delta, exact=True, limit=200))
    return float(min(one.value.min() for one in ends))


def scipy_multistart(design: ClosedDesign, truth: Array, delta: float, best: float, seed: int) -> tuple[float, int]:
    """CPU seconds and starts until SciPy reaches the optimum as a user would try: random starts in a box of the truth.

    ``least_squares`` with numerical derivatives, from starts within a factor of 20 of the truth, which the user of a
    real problem does not know; Huber's loss is finished by Nelder-Mead, whose objective has no residuals to square.
    """
    misfit, rng = Misfit(design.plain), np.random.default_rng([seed, 2])
    began = time.process_time()
    root = np.sqrt(design.weight)
    for start in range(1, 101):
        x = truth + np.where(design.is_log, np.log(20.0), np.maximum(np.abs(truth), 0.1)) * rng.uniform(
            -1, 1, len(truth)
        )
        lower, upper = design.box
        x = np.clip(x, lower + 1e-9, upper - 1e-9)

        def residual(point: Array) -> Array:
            value = misfit.residual(point[None])[0] * root
            return np.where(np.isfinite(value), value, 1e6)

        loss = "huber" if np.isfinite(delta) else "linear"
        scale = delta if np.isfinite(delta) else 1.0
        try:
            found = optimize.least_squares(
                residual, x, bounds=(lower, upper), loss=loss, f_scale=scale, x_scale="jac", xtol=1e-12, ftol=1e-12,
                gtol=1e-12, max_nfev=500,
            )  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):
            continue
        if found.cost <= best * (1 + 1e-6):
            return time.process_time() - began, start
    return time.process_time() - began, 0


def main() -> None:
    """Print misses and times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--each", type=int, default=12, help="problems of each design and loss")
    parser.add_argument("--scipy", type=int, default=0, help="also SciPy on this many problems of each design and loss")
    parser.add_argument("--only", default="", help="one design")
    parser.add_argument("--extra", action="store_true", help="also two designs that are no published fits")
    parser.add_argument("--no-brute", action="store_true", help="only the times")
    options = parser.parse_args()
    total = misses = 0
    times: list[float] = []
    print(
        f"{'design':26s} {'loss':8s} problems missed brute-worse  CPU s median, worst   SciPy CPU s, starts, failures"
    )
    for name, design, theta, noise in designs(extra=options.extra):
        if options.only and name != options.only:
            continue
        for delta in (np.inf, DELTA):
            gaps, cpu, others = [], [], []
            for seed in range(options.each):
                problem, truth = simulated(design, theta, noise, seed)
                began = time.process_time()
                found = search_closed(problem, delta=delta, seed=seed)[0].value
                cpu.append(time.process_time() - began)
                rival = found if options.no_brute else brute(problem, truth, delta, seed)
                gaps.append(found / rival - 1)
                if seed < options.scipy:
                    others.append(scipy_multistart(problem, truth, delta, min(found, rival), seed))
            missed = [seed for seed, gap in enumerate(gaps) if gap > MISSED]
            total, misses = total + len(gaps), misses + len(missed)
            times += cpu
            text = ""
            if others:
                text = f"{np.median([a for a, _ in others]):8.3f} {np.median([b for _, b in others]):6.0f}"
                text += f" {sum(b == 0 for _, b in others):3d}"
            print(
                f"{name:26s} {'squares' if delta == np.inf else 'huber':8s} {len(gaps):8d} {len(missed):6d} "
                f"{sum(gap < -MISSED for gap in gaps):11d}  {np.median(cpu):6.3f} {max(cpu):6.3f} {text} "
                + " ".join(f"{seed}:{gaps[seed]:.1e}" for seed in missed),
                flush=True,
            )
    print(f"\n{misses} of {total} missed; CPU s median {np.median(times):.3f}, worst {max(times):.3f}")


if __name__ == "__main__":
    main()
