"""Random laws on random tables, fitted by the toolkit and by an independent brute force.

``python -m tests.reference.differential --problems 500 --seed 0`` prints how often the fit's objective lies above the
best that the brute force reaches (a miss), by status and by kind of problem. ``--only SEED`` shows one problem.

The laws have one to four terms, floors, groups, names shared by terms whose columns differ by up to sixty orders of
magnitude, fixed numbers, weights, squares and Huber, logs and plain responses, nonnegative and free exponents, on 6 to
180 rows. The brute force starts SciPy's trust region from 20 points, one of them the truth, in coordinates of its own;
the best of its ends are polished by SciPy and by one descent each of the toolkit. All points are compared by an
objective written here from the definition, in natural parameters.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

import scalefit
from scalefit.errors import DataError, LawError
from scalefit.law.additive import Coef, Law
from scalefit.problem import build_problem
from scalefit.solver.batch import minimise_batch

Array = NDArray[np.float64]
Name = tuple[str, tuple[str, ...]]

TOLERANCE = 1e-8  # of the objective
STEEPEST = 60.0  # documented limit of an exponent
FIXED = ("1", "1/2", "1/3", "0.3")


@dataclass(frozen=True)
class Drawn:
    """A law, a table, options of the fit, and the truth by name (coefficients as logs)."""

    law: Law
    frame: pd.DataFrame
    options: dict[str, object]
    truth: dict[Name, float]
    kinds: tuple[str, ...]

    @property
    def delta(self) -> float:
        """Where Huber's loss turns linear; inf for squares."""
        return float(self.options["delta"]) if self.options["loss"] == "huber" else np.inf  # type: ignore[arg-type]


@dataclass(frozen=True)
class Outcome:
    """One comparison."""

    seed: int
    status: str
    kinds: tuple[str, ...]
    ours: float
    brute: float
    allowance: float
    codes: tuple[str, ...] = field(default=())

    @property
    def gap(self) -> float:
        """Relative excess of the fit's objective over the brute force's."""
        return self.ours / self.brute - 1 if self.brute > 0 else 0.0

    @property
    def missed(self) -> bool:
        """True when the brute force is lower by more than rounding and TOLERANCE."""
        return self.ours > self.brute * (1 + TOLERANCE) + self.allowance


class Objective:
    """The misfit from its definition, vectors of natural parameters in, and its residuals and Jacobian."""

    def __init__(self, drawn: Drawn) -> None:
        law, frame, options = drawn.law, drawn.frame, drawn.options
        self.n, self.log_space, self.delta = len(frame), options["space"] == "log", drawn.delta
        self.y = frame[law.response].to_numpy(float)
        self.unit = float(np.median(self.y))  # residuals of plain responses are in this unit
        if not self.log_space:
            self.delta /= self.unit
        weights = options.get("weights")
        self.weight = np.ones(self.n) if weights is None else frame[weights].to_numpy(float)
        self.names: list[Name] = []
        self.kind: list[str] = []
        floor = [] if law.floor is None else [law.floor]
        self.floor = [self._index(part, frame, "floor") for part in floor]
        self.terms = []
        for term in law.terms:
            log_x = np.log(frame[term.variable].to_numpy(float)) * (1 if term.grows else -1)
            coef = self._index(term.coefficient, frame, "coefficient")
            self.terms.append((log_x, coef, self._index(term.exponent, frame, "exponent")))
        self.kinds = np.array(self.kind)
        self.centring = self._centring()

    def _index(self, part: object, frame: pd.DataFrame, kind: str) -> object:
        """Parameter number of each row, or a fixed value."""
        if not isinstance(part, Coef):
            value = float(part)  # type: ignore[arg-type]
            return np.log(value) if kind == "coefficient" else value
        levels = [tuple(map(str, row)) for row in frame[list(part.groups)].itertuples(index=False)]
        codes = []
        for level in levels or [()] * self.n:
            name = (part.name, level)
            if name not in self.names:
                self.names.append(name)
                self.kind.append(kind)
            codes.append(self.names.index(name))
        return np.array(codes)

    def _centring(self) -> Array:
        """Natural parameters from those of the brute force: sizes at the mean of the first column they scale."""
        matrix = np.eye(len(self.names))
        done = set()
        for log_x, coef, expo in self.terms:
            if isinstance(coef, float):
                continue
            for j in np.unique(coef):
                rows = np.flatnonzero(coef == j)
                if j not in done and not isinstance(expo, float):
                    matrix[j, expo[rows[0]]] -= log_x[rows].mean()
                done.add(j)
        return matrix

    def parts(self, natural: Array) -> tuple[Array, list[Array]]:
        """Floor and terms of each row, in units of the median response."""
        floor = np.zeros(self.n)
        for index in self.floor:
            floor = floor + (index if isinstance(index, float) else natural[index]) / self.unit
        sizes = []
        for log_x, coef, expo in self.terms:
            log_c = coef if isinstance(coef, float) else natural[coef]
            a = expo if isinstance(expo, float) else natural[expo]
            sizes.append(np.exp(np.clip(log_c - np.log(self.unit) + a * log_x, -700, 300)))
        return floor, sizes

    def residual(self, natural: Array) -> Array:
        """Response minus prediction, of logs or in units of the median response."""
        floor, sizes = self.parts(natural)
        fitted = np.maximum(floor + sum(sizes), 1e-300)
        return np.log(self.y / self.unit) - np.log(fitted) if self.log_space else self.y / self.unit - fitted

    def value(self, natural: Array) -> float:
        """Sum of weighted losses."""
        r = self.residual(natural)
        inside = np.minimum(np.abs(r), self.delta)
        return float((self.weight * inside * (np.abs(r) - inside / 2)).sum())

    def rounding(self, natural: Array) -> float:
        """Effect on the value of rounding each log of a term in double precision."""
        logs = max(
            float(np.abs(np.broadcast_to(coef if isinstance(coef, float) else natural[coef], self.n)).max())
            for _, coef, _ in self.terms
        )
        inside = np.minimum(np.abs(self.residual(natural)), self.delta)
        return 4 * np.finfo(float).eps * (1 + logs) * float((self.weight * inside).sum())

    def jacobian(self, natural: Array) -> Array:
        """Derivative of the residual with respect to natural parameters (floors in units of the median response)."""
        floor, sizes = self.parts(natural)
        matrix, every = np.zeros((self.n, len(self.names))), np.arange(self.n)
        scale = 1 / np.maximum(floor + sum(sizes), 1e-300) if self.log_space else np.ones(self.n)
        for index in self.floor:
            if not isinstance(index, float):
                matrix[every, index] -= scale / self.unit
        for (log_x, coef, expo), size in zip(self.terms, sizes, strict=True):
            if not isinstance(coef, float):
                matrix[every, coef] -= scale * size
            if not isinstance(expo, float):
                matrix[every, expo] -= scale * size * log_x
        return matrix


# --- problems ---------------------------------------------------------------------------------------------------------


def draw(seed: int) -> Drawn:
    """Draw a problem that the toolkit accepts."""
    for attempt in range(200):
        try:
            drawn = _draw(np.random.default_rng([seed, attempt]))
            if drawn is not None:
                _problem(drawn)
                return drawn
        except (DataError, LawError):  # too few rows of a level, columns that move together, ...
            continue
    raise RuntimeError(f"no acceptable problem from seed {seed}")


def _draw(rng: np.random.Generator) -> Drawn | None:
    n_terms, n = int(rng.integers(1, 5)), int(np.exp(rng.uniform(np.log(6), np.log(181))))
    groups = {"g": rng.integers(0, rng.integers(2, 4), n).astype(str), "h": rng.integers(0, 2, n).astype(str)}
    kinds, grouped = set(), rng.uniform() < 0.3

    def group() -> str:
        if not grouped or rng.uniform() < 0.5:
            return ""
        kinds.add("groups")
        return str(rng.choice(["[g]", "[g]", "[h]", "[g, h]"]))

    floor = rng.choice(["E", "0.5", ""], p=[0.8, 0.05, 0.15])
    law = [f"{floor}{group()}" if floor == "E" else floor] if floor else []
    coefs, expos, columns = [], [], []
    for k in range(n_terms):
        columns.append(columns[-1] if k and rng.uniform() < 0.06 else f"x{k}")
        coefs.append(f"c{k}{group()}")
        expos.append(f"a{k}{group()}")
        if k and rng.uniform() < 0.2:
            coefs[k] = coefs[k - 1]
            kinds.add("shared coefficient")
        if k and rng.uniform() < 0.15:
            expos[k] = expos[k - 1]
            kinds.add("shared exponent")
        elif rng.uniform() < 0.15:
            expos[k] = str(rng.choice(FIXED))
            kinds.add("fixed exponent")
        if columns[k] != f"x{k}":
            kinds.add("repeated column")
    grows = rng.uniform(size=n_terms) < 0.08
    shared = rng.uniform(size=n)
    correlation = rng.choice([0.0, 0.5, 0.9])
    log_x = {}
    for name in columns:
        span = rng.uniform(0.7, 5.0) * np.log(10)
        values = span * (correlation * shared + (1 - correlation) * rng.uniform(size=n))
        if rng.uniform() < 0.5:  # a design of few distinct values, as in most sweeps
            values = np.round(values / (span / 6)) * (span / 6)
        log_x[name] = values + rng.choice([0.0, rng.uniform(-30, 30) * np.log(10)])
    truth, size = _truth(rng, coefs, expos, columns, grows, groups, log_x)
    if truth is None:
        return None
    free = rng.uniform() < 0.3
    loss = str(rng.choice(["squared", "huber"]))
    space = str(rng.choice(["log", "linear"], p=[0.7, 0.3]))
    absolute = space == "linear" and loss == "huber"
    unit = 10 ** (rng.uniform(-3, 7) if absolute else rng.choice([0.0, rng.uniform(-30, 30)]))
    floors = {
        level: rng.uniform(0.3, 2.0) * rng.choice([0.0, 1.0], p=[0.2, 0.8]) for level in _levels("E[g, h]", groups)
    }
    noise = np.exp(rng.uniform(np.log(0.001), np.log(0.1)))
    error = noise * (rng.normal(size=n) if rng.uniform() < 0.5 else rng.standard_t(2, size=n))
    clean = np.zeros(n)
    if floor == "E":
        clean += [floors[level] for level in _rows(law[0], groups)]
        truth |= {("E", level): floors[level] * unit for level in _levels(law[0], groups)}
    elif floor:
        clean += 0.5
        unit = 1.0
    y = (clean + size) * np.exp(np.clip(error, -3, 3)) * unit
    if not (np.isfinite(y).all() and y.min() > 1e-90 and y.max() < 1e90 and np.ptp(np.log(y)) < 60):
        return None
    for name in list(truth):
        if name[0].startswith("c"):
            truth[name] += np.log(unit)
    delta = 1e-3
    if loss == "huber" and rng.uniform() < 0.5:
        delta = noise * (float(np.median(y)) if absolute else 1.0) * 10 ** rng.uniform(-2, 1)
    frame = pd.DataFrame({name: np.exp(values) for name, values in log_x.items()} | groups | {"y": y})
    options: dict[str, object] = {"loss": loss, "delta": delta, "space": space}
    options["exponents"] = "free" if free else "nonnegative"
    if rng.uniform() < 0.2:
        frame["w"] = rng.choice([0.1, 1.0, 2.0, 10.0], n) if rng.uniform() < 0.5 else np.exp(rng.normal(size=n))
        options["weights"] = "w"
        kinds.add("weights")
    law += [
        f"{c}{'*' if up else '/'}{x}^{_exponent(a)}" for c, x, a, up in zip(coefs, columns, expos, grows, strict=True)
    ]
    kinds |= {f"{n_terms} terms", loss, space} | ({"free"} if free else set())
    kinds |= {"Huber, plain response"} if absolute else set()
    return Drawn(Law.parse("y ~ " + " + ".join(law)), frame, options, truth, tuple(sorted(kinds)))


def _exponent(text: str) -> str:
    return f"({text})" if "/" in text else text


def _rows(name: str, groups: dict[str, NDArray[np.str_]]) -> list[tuple[str, ...]]:
    """Level of each row."""
    count = len(groups["g"])
    columns = [part.strip() for part in name.partition("[")[2].rstrip("]").split(",") if part]
    return list(zip(*(groups[column].tolist() for column in columns), strict=True)) if columns else [()] * count


def _levels(name: str, groups: dict[str, NDArray[np.str_]]) -> dict[tuple[str, ...], None]:
    levels = dict.fromkeys(_rows(name, groups))
    if name == "E[g, h]":  # also answers for coarser groupings
        levels |= dict.fromkeys([(), *((g,) for g in "012"), *((g, h) for g in "012" for h in "01")])
    return levels


def _truth(
    rng: np.random.Generator, coefs: list[str], expos: list[str], columns: list[str], grows: NDArray[np.bool_],
    groups: dict[str, NDArray[np.str_]], log_x: dict[str, Array],
) -> tuple[dict[Name, float] | None, Array]:  # fmt: skip
    """True parameters and the sum of the terms; moves columns so that shared coefficients give sizes of order 1."""
    truth: dict[Name, float] = {}
    total = np.zeros(len(groups["g"]))
    for coef, expo, column, up in zip(coefs, expos, columns, grows, strict=True):
        sign = 1.0 if up else -1.0
        if not expo.startswith("a"):
            numerator, _, denominator = expo.partition("/")
            fixed = float(numerator) / float(denominator or 1)
        for level in _levels(expo, groups) if expo.startswith("a") else ():
            steep = rng.uniform() < 0.15
            truth.setdefault(
                (expo.partition("[")[0], level), rng.uniform(0.6, 2.0) if steep else rng.uniform(0.05, 0.6)
            )
        a = (
            np.array([truth[(expo.partition("[")[0], level)] for level in _rows(expo, groups)])
            if expo.startswith("a")
            else fixed
        )
        levels = _rows(coef, groups)
        size = np.exp(rng.normal(-0.3, 0.8))
        for level in dict.fromkeys(levels):
            rows = np.array([label == level for label in levels])
            key = (coef.partition("[")[0], level)
            slope = (a * np.ones(len(rows)))[rows]
            mean = float(np.mean(sign * slope * log_x[column][rows]))
            if key not in truth:
                truth[key] = float(np.log(size) + rng.normal(0, 0.2) - mean)
            elif columns.count(column) == 1 and rng.uniform() < 0.7:  # other units, so that the sizes are alike
                log_x[column] = log_x[column] + (np.log(size) - truth[key] - mean) / (sign * float(slope.mean()))
                if np.abs(log_x[column]).max() > 35 * np.log(10):
                    return None, total
        log_c = np.array([truth[(coef.partition("[")[0], level)] for level in levels])
        total = total + np.exp(np.clip(log_c + sign * a * log_x[column], -300, 300))
    return truth, total


def _problem(drawn: Drawn):  # type: ignore[no-untyped-def]
    return build_problem(
        drawn.law, drawn.frame, space=str(drawn.options["space"]), weights=drawn.options.get("weights"),
        free_sign=drawn.options["exponents"] == "free",
    )  # fmt: skip


# --- brute force ------------------------------------------------------------------------------------------------------


def brute_force(drawn: Drawn, objective: Objective, starts: int, seed: int) -> tuple[float, Array]:
    """Lowest value, and the natural parameters there."""
    rng = np.random.default_rng([seed, 1])
    free = drawn.options["exponents"] == "free"
    lower = np.select([objective.kinds == "floor", objective.kinds == "exponent"], [0.0, -STEEPEST * free], -np.inf)
    upper = np.where(objective.kinds == "exponent", STEEPEST, np.inf)
    unit = np.where(objective.kinds == "floor", objective.unit, 1.0)
    matrix = objective.centring
    inverse = np.linalg.inv(matrix)
    truth = np.array([drawn.truth[name] for name in objective.names])
    points = [truth, *(_random_start(rng, objective, free) for _ in range(starts - 1))]
    best: list[tuple[float, Array]] = []
    for point in points:
        best.append(_descend(objective, matrix, inverse @ point, lower, upper, unit, 60))
    best.sort(key=lambda pair: pair[0])
    for _, point in best[:3]:
        best.append(_descend(objective, matrix, inverse @ point, lower, upper, unit, 400))
    problem = _problem(drawn)
    order = [objective.names.index((p.coef.name, p.level)) for p in problem.parameters]
    design = problem.design
    ends = np.array([design.from_natural(point[order]) for _, point in best])
    minima = minimise_batch(design, ends, delta=drawn.delta)
    for theta in minima.theta:
        point = np.empty(len(order))
        point[order] = design.to_natural(theta)
        best.append((objective.value(point), point))
    return min(best, key=lambda pair: pair[0])


def _random_start(rng: np.random.Generator, objective: Objective, free: bool) -> Array:
    """Random exponents; sizes of order 1 in the first term of each coefficient, and in its others where possible."""
    point = np.zeros(len(objective.names))
    floor, expo = objective.kinds == "floor", objective.kinds == "exponent"
    point[floor] = rng.uniform(0, objective.y.min(), floor.sum())
    point[expo] = np.exp(rng.uniform(np.log(0.02), np.log(3.0), expo.sum()))
    if free:
        point[expo] *= rng.choice([-1.0, 1.0], expo.sum(), p=[0.25, 0.75])
    balance, scaled = rng.uniform() < 0.7, set()
    for log_x, coef, index in objective.terms:
        if isinstance(coef, float):
            continue
        for j in np.unique(coef):
            rows = np.flatnonzero(coef == j)
            size = np.log(objective.unit) + rng.normal(-1, 1)
            mean = float(log_x[rows].mean())
            a = index if isinstance(index, float) else float(point[index[rows]].mean())
            if j not in scaled:
                point[j] = size - a * mean
            elif balance and not isinstance(index, float):
                wanted = (size - point[j]) / mean
                if (free or wanted > 0) and abs(wanted) < STEEPEST:
                    point[index[rows]] = wanted
            scaled.add(j)
    return point


def _descend(
    objective: Objective, matrix: Array, start: Array, lower: Array, upper: Array, unit: Array, limit: int
) -> tuple[float, Array]:
    delta, weight = objective.delta, objective.weight
    root = np.sqrt(weight) if delta == np.inf else np.ones(len(weight))

    def huber(z: Array) -> Array:
        wide = np.sqrt(np.maximum(z, 1.0))
        return weight * np.array([np.where(z <= 1, z, 2 * wide - 1), 1 / wide, np.where(z <= 1, 0, -0.5 / wide**3)])

    scale = {} if delta == np.inf else {"loss": huber, "f_scale": delta}
    start = np.clip(start / unit, np.where(np.isfinite(lower), lower + 1e-9, lower), upper - 1e-9)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            end = optimize.least_squares(
                lambda p: root * objective.residual(matrix @ (p * unit)),
                start,
                jac=lambda p: root[:, None] * (objective.jacobian(matrix @ (p * unit)) @ (matrix * unit)),
                bounds=(lower, upper), x_scale="jac", max_nfev=limit, ftol=1e-14, xtol=1e-14, gtol=1e-14, **scale,
            ).x  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):  # a start whose residuals overflow
            end = start
    natural = matrix @ (end * unit)
    value = objective.value(natural)
    return (value if np.isfinite(value) else np.inf), natural


# --- comparison -------------------------------------------------------------------------------------------------------


def compare(seed: int, *, starts: int = 20) -> Outcome:
    """Solve one problem both ways."""
    drawn = draw(seed)
    objective = Objective(drawn)
    fit = scalefit.fit(drawn.frame, drawn.law, uncertainty="gauss-newton", throw=False, **drawn.options)  # type: ignore[arg-type]
    ours = np.empty(len(objective.names))
    for parameter, value in zip(fit.parameters, fit.point, strict=True):
        ours[objective.names.index((parameter.coef.name, parameter.level))] = value
    best, _ = brute_force(drawn, objective, starts, seed)
    codes = tuple(finding.code for finding in fit.findings)
    return Outcome(seed, fit.status, drawn.kinds, objective.value(ours), best, objective.rounding(ours), codes)


def main() -> None:
    """Print misses by status and by kind."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first problem; the others follow")
    parser.add_argument("--starts", type=int, default=20, help="of the brute force")
    parser.add_argument("--only", type=int, help="show one problem")
    options = parser.parse_args()
    if options.only is not None:
        drawn = draw(options.only)
        print(drawn.law, drawn.options, f"{len(drawn.frame)} rows", drawn.truth, sep="\n")
        print(compare(options.only, starts=options.starts))
        return
    began, outcomes = time.process_time(), []
    for seed in range(options.seed, options.seed + options.problems):
        outcome = compare(seed, starts=options.starts)
        outcomes.append(outcome)
        if outcome.missed:
            print(f"miss: seed {seed}, {outcome.status}, gap {outcome.gap:.1e}; {', '.join(outcome.kinds)}", flush=True)
    missed = [outcome for outcome in outcomes if outcome.missed]
    reverse = sum(outcome.brute > outcome.ours * (1 + TOLERANCE) + outcome.allowance for outcome in outcomes)
    print(f"{'':24s}problems  missed")
    for title, of in (("status", lambda outcome: [outcome.status]), ("kind", lambda outcome: outcome.kinds)):
        total, lost = Counter(), Counter()
        for outcome in outcomes:
            total.update(of(outcome))
        for outcome in missed:
            lost.update(of(outcome))
        for name in sorted(total):
            print(f"{title:8s}{name:24s}{total[name]:5d}  {lost[name]:6d}")
    print(
        f"{len(missed)} of {len(outcomes)} problems above the brute force ({len(missed) / len(outcomes):.2%}), "
        f"worst gap {max(outcome.gap for outcome in outcomes):.1e}; brute force above the fit in {reverse}; "
        f"{time.process_time() - began:.0f} CPU s"
    )


if __name__ == "__main__":
    main()
