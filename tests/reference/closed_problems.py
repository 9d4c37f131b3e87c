"""Simulated problems on published designs, to measure how often the search of closed-form laws misses the best optimum.

Run ``python -m tests.reference.closed_problems --scipy 10 --out outcomes.jsonl`` for the table (two losses, 16 designs,
10 problems each) with the times of SciPy's multi-start; started again it goes on where it was stopped. The brute force
descends from 101 starts that nothing has selected: 70 of the starts' generator, 30 around the truth, and the truth.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from scipy import optimize

from scalefit import closed
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
    return float(min(end.value.min() for end in ends))


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


@dataclass(frozen=True)
class Outcome:
    """What became of one problem: the search's F over that of the brute force less 1, CPU seconds, and SciPy's."""

    gap: float
    seconds: float
    scipy_seconds: float | None
    scipy_starts: int | None  # 0: not within 100


def _outcome(problem: ClosedDesign, truth: Array, delta: float, seed: int, *, scipy: bool) -> Outcome:
    began = time.process_time()
    found = search_closed(problem, delta=delta, seed=seed)[0].value
    seconds = time.process_time() - began
    rival = brute(problem, truth, delta, seed)
    others = scipy_multistart(problem, truth, delta, min(found, rival), seed) if scipy else (None, None)
    return Outcome(found / rival - 1, seconds, *others)


def _code() -> str:
    """Digest of what decides where a search ends: a kept outcome counts only for the code that it was computed with."""
    folder = Path(closed.__file__).parent
    files = [*sorted(folder.glob("*.py")), folder.parent / "law" / "tree.py", Path(__file__)]
    names = {"curvature.py", "identify.py", "profile.py", "resample.py"}  # these judge an optimum and look for none
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.name not in names)).hexdigest()[:12]


class Kept:
    """Outcomes in a file of JSON lines, so that a run that was stopped goes on where it was."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.code = path, _code()
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        records = [json.loads(line) for line in lines]
        self.known = {
            tuple(record["key"]): Outcome(**record["outcome"]) for record in records if record["code"] == self.code
        }

    def get(self, key: tuple[str, str, int], compute: Callable[[], Outcome]) -> Outcome:
        if key not in self.known:
            self.known[key] = compute()
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps({"code": self.code, "key": key, "outcome": asdict(self.known[key])}) + "\n")
        return self.known[key]


def _row(name: str, loss: str, outcomes: Sequence[Outcome]) -> tuple[str, float, float, float, bool]:
    """Return a line of the table, and the CPU seconds that are summed over the designs.

    SciPy's at equal success are those of the number of starts that gets to the optimum in all problems of this design
    that the search solves: a user has to choose it beforehand, because no start says that it ended at the best optimum.
    """
    cpu = [outcome.seconds for outcome in outcomes]
    missed = [i for i, outcome in enumerate(outcomes) if outcome.gap > MISSED]
    rivals = [outcome for i, outcome in enumerate(outcomes) if outcome.scipy_starts is not None and i not in missed]
    text, oracle, equal, failed = "", 0.0, 0.0, 0
    if rivals:
        failed = sum(rival.scipy_starts == 0 for rival in rivals)
        each = np.median([rival.scipy_seconds / (rival.scipy_starts or 100) for rival in rivals])
        starts = 100 if failed else max(rival.scipy_starts or 0 for rival in rivals)
        oracle, equal = float(np.median([rival.scipy_seconds for rival in rivals])), float(each * starts)
        text = f"{oracle:8.3f} {starts:6d} {equal:9.3f} {failed:3d}"
    below = sum(outcome.gap < -MISSED for outcome in outcomes)
    line = (
        f"{name:28s} {loss:8s} {len(outcomes):8d} {len(missed):6d} {below:11d} "
        f"{np.median(cpu):7.3f} {max(cpu):6.3f} {text}  " + " ".join(f"{i}:{outcomes[i].gap:.1e}" for i in missed)
    )
    return line, float(np.median(cpu)), oracle, equal, failed > 0


def main() -> None:
    """Print misses and times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--each", type=int, default=10, help="problems of each design and loss")
    parser.add_argument("--scipy", type=int, default=0, help="also SciPy on this many problems of each design and loss")
    parser.add_argument("--only", default="", help="one design")
    parser.add_argument("--extra", action="store_true", help="also two designs that are no published fits")
    parser.add_argument("--out", type=Path, help="file of outcomes, which are then not computed again")
    options = parser.parse_args()
    kept = Kept(options.out)
    print(
        f"{'':66s} {'CPU seconds':16s} SciPy: until there, starts for all, their CPU seconds, failures\n"
        f"{'design':28s} {'loss':8s} problems missed brute-worse  median  worst"
    )
    total = misses = 0
    sums: dict[str, list[tuple[float, float, float, bool]]] = {}
    for name, design, theta, noise in designs(extra=options.extra):
        if options.only and name != options.only:
            continue
        for loss, delta in (("squares", np.inf), ("huber", DELTA)):

            def compute(
                seed: int, design: ClosedDesign = design, theta: Array = theta, noise: float = noise,
                delta: float = delta,
            ) -> Outcome:  # fmt: skip
                return _outcome(*simulated(design, theta, noise, seed), delta, seed, scipy=seed < options.scipy)

            outcomes = [kept.get((name, loss, seed), partial(compute, seed)) for seed in range(options.each)]
            total, misses = total + len(outcomes), misses + sum(outcome.gap > MISSED for outcome in outcomes)
            line, *seconds = _row(name, loss, outcomes)
            sums.setdefault(loss, []).append(tuple(seconds))
            print(line, flush=True)
    print(f"\n{misses} of {total} missed")
    for loss, rows in sums.items():
        ours, oracle, equal, failed = np.array(rows, dtype=float).sum(axis=0)
        print(
            f"{loss}: medians added over {len(rows)} designs, CPU s: search {ours:.2f}, SciPy until it is there "
            f"{oracle:.2f}, SciPy with the starts for equal success {equal:.2f} "
            f"(a lower limit in {failed:.0f} designs, in which 100 starts do not do)"
        )


if __name__ == "__main__":
    main()
