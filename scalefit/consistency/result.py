"""What a check of a sweep finds: plain values, a record for JSON, and verdicts with their conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import stats

from scalefit.comparison.differences import Difference
from scalefit.consistency.ranges import WidthState, range_lines, range_sentence, reset_line, reset_sentence
from scalefit.consistency.series import Curve, Series
from scalefit.files import plain_json
from scalefit.numbers import chance, counted, exact, fixed, percent, plus_minus, rounded, rounded_interval
from scalefit.results import Fit
from scalefit.thresholds import BENT, STANDS_STILL, STILL_MOVING
from scalefit.toy.reset import ResetTest
from scalefit.verdicts import Verdict

__all__ = ["Check", "SettingCheck", "check_record", "check_text", "verdict"]

CONVERGED, MOVING, UNKNOWN = "converged", "not converged", "not known"
USUAL = {
    "batch": None,
    "learning_rate": "small",
    "loss_factor": 1.0,
    "dtype": "float32",
    "density": 1.0,
    "bias_start": "zero",
    "norm": "free",
}


@dataclass(frozen=True, eq=False)
class SettingCheck:
    """What one setting of the sweep says.

    Parameters
    ----------
    setting : dict
        What it is.
    regime : {"strong", "weak", "between"}
        By the share of represented features at the longest training.
    series : tuple of Series
        By length of training, ascending; the last one counts.
    posterior : Fit or None
        Of the same law on the last series, normal errors of the log loss.
    change, change_se : float
        Of the exponent from the series nearest to half the training; NaN with one length.
    convergence : {"converged", "not converged", "not known"}
        By that change.
    curves : tuple of Curve
        Alternatives to the power law, best first.
    theory : dict of str to float
        Exponents over these widths that theory gives for the regime.
    against : tuple of Difference
        This exponent minus that of language models.
    states : tuple of WidthState
        Where each width lies at the longest training; empty without theory.
    resets : tuple of ResetTest
        Models whose dead outputs were reset, where that was asked for.
    """

    setting: dict[str, Any]
    regime: str
    series: tuple[Series, ...]
    posterior: Fit | None
    change: float
    change_se: float
    convergence: str
    curves: tuple[Curve, ...]
    theory: dict[str, float]
    against: tuple[Difference, ...]
    states: tuple[WidthState, ...]
    resets: tuple[ResetTest, ...] = ()

    @property
    def last(self) -> Series:
        """The series with the longest training."""
        return self.series[-1]

    @property
    def exponent(self) -> float:
        """Exponent at the longest training."""
        return self.last.fit["a"].value

    @property
    def se(self) -> float:
        """Its standard error."""
        return self.last.se

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval, Student's t."""
        reach = float(stats.t.ppf(0.975, len(self.last.rows) - 2)) * self.se
        return self.exponent - reach, self.exponent + reach


@dataclass(frozen=True, eq=False)
class Check:
    """A sweep against 1/m.

    Parameters
    ----------
    name : str
        The sweep.
    reference : float
        The exponent in question.
    region : tuple of float
        What counts as equal to it.
    settings : tuple of SettingCheck
        Those under strong superposition first, the longest training first.
    models, failed : int
        Cells of the sweep, and those that failed.
    """

    name: str
    reference: float
    region: tuple[float, float]
    settings: tuple[SettingCheck, ...]
    models: int
    failed: int

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """What each setting shows, then what follows for the claim, with the conditions."""
        return verdict(self)

    @property
    def claims(self) -> tuple[Verdict, ...]:
        """What all settings together show of the reference: where the loss falls faster, if so, then the claim."""
        return self.verdict[len(self.settings) :]

    def summary(self) -> str:
        """Return verdict and numbers as text."""
        return check_text(self)

    def __str__(self) -> str:
        return self.summary()

    def record(self) -> dict[str, Any]:
        """Return plain JSON: ``exponent, se, interval, converged, verdict`` of the first setting, and all settings."""
        return check_record(self)


def verdict(check: Check) -> tuple[Verdict, ...]:
    """Say, setting by setting, whether the loss falls as 1/m here, and under which conditions.

    Parameters
    ----------
    check : Check
        The numbers.

    Returns
    -------
    tuple of Verdict
        One for each setting, one on the widest models where their loss falls faster, then what follows for the claim.
    """
    strong = [case for case in check.settings if case.regime == "strong"]
    return (*(_setting(case) for case in check.settings), *_widest(check, strong), _claim(check, strong))


def _claim(check: Check, strong: list[SettingCheck]) -> Verdict:
    """Say what all settings together show of the reference."""
    if not strong:
        return Verdict.of(
            "none strong", "No setting is under strong superposition, so this sweep says nothing about 1/m."
        )
    free = [case for case in strong if all(state.kind != "limited" for state in case.states)]
    usable = [case for case in free if case.convergence == CONVERGED and _straight(case)]
    about: dict[str, Any] = {
        "reference": check.reference,
        "region": list(check.region),
        "strong": len(strong),
        "usable": len(usable),
    }
    if not usable:
        return Verdict.of(
            "open",
            "Under strong superposition no setting has an exponent that is shown to be converged and the same at all "
            "widths: this sweep does not show whether the loss falls as "
            f"{_power(check.reference)}.",
            **about,
        )
    low, high = check.region
    inside = sum(low <= case.interval[0] and case.interval[1] <= high for case in usable)
    outside = sum(case.interval[1] < low or high < case.interval[0] for case in usable)
    kind = "inside" if inside == len(usable) else "outside" if outside == len(usable) else "mixed"
    return Verdict.of(
        kind,
        f"Of {counted(len(usable), 'setting')} under strong superposition that converged to a straight law, the "
        f"exponent's interval lies within {exact(low)} to {exact(high)} in {inside}, outside in {outside}.",
        inside=inside, outside=outside, **about,
    )  # fmt: skip


def _widest(check: Check, strong: list[SettingCheck]) -> tuple[Verdict, ...]:
    """Say where the loss of the widest models falls faster than the reference; nothing where that is not shown."""
    last = [case.last.local[-1] for case in strong]
    faster = [local.slope for local in last if local.slope - 2 * local.se > check.region[1]]
    if not faster:
        return ()
    low, high = fixed(min(faster), 2), fixed(max(faster), 2)
    sentence = (
        f"In {counted(len(faster), 'setting')} of {len(strong)} under strong superposition the loss falls faster than "
        f"{_power(check.reference)} between the two widest models (local exponent "
        f"{low if low == high else f'{low} to {high}'})."
    )
    return (Verdict.of("faster", sentence, reference=check.reference, slopes=faster, strong=len(strong)),)


def _setting(case: SettingCheck) -> Verdict:
    last = case.last
    low, high = last.widths[0], last.widths[-1]
    where = f"{_name(case)}, m = {low} to {high}, {exact(last.steps)} steps, {counted(last.seeds, 'seed')}"
    text = f"{where} ({case.regime} superposition): exponent {plus_minus(case.exponent, case.se)}, {_converged(case)}."
    text += range_sentence(case.states) + reset_sentence(case.resets)
    if _straight(case) is False:
        slopes = [slope.slope for slope in last.local]
        reach = f"{fixed(min(slopes), 2)} to {fixed(max(slopes), 2)}"
        text += f" The law is bent: local exponents run from {reach}, so that one number hides as much as it says."
    best, power = case.curves[0], next(curve for curve in case.curves if curve.name == "A/m^a")
    if best is not power:
        errors = f"{percent(best.left_out, 1)} against {percent(power.left_out, 1)}"
        text += f" {best.name} predicts a left-out width better than a power law ({errors})."
    theory = "; ".join(f"{name} {fixed(value, 2)}" for name, value in case.theory.items())
    text += f" Theory over these widths: {theory}." if theory else ""
    kind = "bent" if _straight(case) is False else case.convergence
    return Verdict.of(
        kind, text, threshold=BENT if kind == "bent" else STANDS_STILL if kind == CONVERGED else STILL_MOVING,
        exponent=case.exponent, se=case.se, change=case.change, change_se=case.change_se, regime=case.regime,
        bend_p=last.bend_p, lack_of_fit_p=last.lack_p, by_width={str(s.width): s.kind for s in case.states},
    )  # fmt: skip


def _straight(case: SettingCheck) -> bool | None:
    """Whether no test finds a bend; None without a test. The least p-value counts as often as there are tests."""
    chances = [p for p in (case.last.lack_p, case.last.bend_p) if math.isfinite(p)]
    return min(chances) * len(chances) >= BENT if chances else None


def _converged(case: SettingCheck) -> str:
    if math.isnan(case.change):
        return "its convergence not known, because there is one length of training"
    moved = f"{plus_minus(case.change, case.change_se)} since about half the training"
    if case.convergence == CONVERGED:
        return f"converged (it moved by {moved})"
    if case.convergence == MOVING:
        return f"not converged (it still moves, by {moved})"
    return f"its convergence not known (it moved by {moved})"


def _name(case: SettingCheck) -> str:
    setting = case.setting
    law = {
        "power": f"p ~ i^-{exact(setting.get('alpha', 0))}",
        "exponential": f"p ~ exp(-i/{exact(setting.get('scale', 0))})",
        "linear": "p linear",
    }.get(str(setting.get("frequency")), "given frequencies")
    extra = [f"{key} {setting[key]}" for key, usual in USUAL.items() if key in setting and setting[key] != usual]
    return ", ".join([f"gamma {exact(setting['gamma'])}", law, f"n {setting['n_features']}", *extra])


def _power(exponent: float) -> str:
    return "1/m" if exponent == 1 else f"1/m^{exact(exponent)}"


def check_text(check: Check) -> str:
    """Return verdict and numbers as plain text.

    Parameters
    ----------
    check : Check
        The numbers.

    Returns
    -------
    str
        Sections apart by blank lines.
    """
    failed = f", {check.failed} failed" if check.failed else ""
    parts = [f"{check.name}: {counted(check.models, 'model')}{failed}", "\n".join(map(str, check.verdict))]
    return "\n\n".join(parts + [_numbers(check, case) for case in check.settings])


def _numbers(check: Check, case: SettingCheck) -> str:
    last = case.last
    lines = [_name(case)]
    for series in case.series:
        exponent = series.fit["a"]
        seeds = ", ".join(fixed(slope, 2) for slope in series.by_seed)
        lines.append(
            f"  {exact(series.steps):>7} steps   exponent {plus_minus(exponent.value, exponent.se)}, "
            f"{rounded_interval(exponent.lo, exponent.hi, exponent.se)} (HC3)" + (f"; by seed {seeds}" if seeds else "")
        )
    lines.append("  local exponents " + ", ".join(f"{s.low}-{s.high}: {plus_minus(s.slope, s.se)}" for s in last.local))
    lines += range_lines(case.states) + [reset_line(test) for test in case.resets]
    tests = (
        [f"bend {rounded(last.bend, 0.1)} per factor e (p {chance(last.bend_p)})"] if math.isfinite(last.bend) else []
    )
    tests += [f"lack of fit against seeds p {chance(last.lack_p)}"] if math.isfinite(last.lack_p) else []
    lines += ["  straightness    " + "; ".join(tests)] if tests else []
    if case.posterior is not None:
        draws, belief = case.posterior.draws("a"), case.posterior["a"]
        low, high = check.region
        inside = float(((draws > low) & (draws < high)).mean())
        lines.append(
            f"  posterior       {plus_minus(belief.value, belief.se)}, P({exact(low)} < a < {exact(high)}) "
            f"{fixed(inside, 2)}, prior Normal(1, 1); it takes the law as true and the losses as converged"
        )
    for curve in case.curves:
        lines.append(f"  {curve.name}: rms {percent(curve.rms, 1)}, left-out widths {percent(curve.left_out, 1)}")
    for gap in case.against:
        lines.append(f"  minus {gap.second}: {plus_minus(gap.mean, gap.se)}")
    return "\n".join(lines)


def check_record(check: Check) -> dict[str, Any]:
    """Return a check as plain JSON.

    Parameters
    ----------
    check : Check
        The numbers.

    Returns
    -------
    dict
        ``exponent, se, interval, converged, verdict`` of the first setting, ``settings`` with the same of all.
    """
    settings = [_record(case) for case in check.settings]
    first = {name: settings[0][name] for name in ("exponent", "se", "interval", "converged")}
    return {
        "sweep": check.name,
        **first,
        "verdict": [verdict.record() for verdict in check.verdict],
        "reference": check.reference,
        "region": list(check.region),
        "models": check.models,
        "failed": check.failed,
        "settings": settings,
    }


def _record(case: SettingCheck) -> dict[str, Any]:
    last = case.last
    return {
        "setting": {key: value if isinstance(value, str) else float(value) for key, value in case.setting.items()},
        "regime": case.regime,
        "exponent": case.exponent,
        "se": case.se,
        "interval": list(case.interval),
        "converged": {CONVERGED: True, MOVING: False}.get(case.convergence),
        "change": plain_json(case.change),
        "change_se": plain_json(case.change_se),
        "widths": list(last.widths),
        "seeds": last.seeds,
        "steps": [{"steps": s.steps, "exponent": s.fit["a"].value, "se": s.se} for s in case.series],
        "by_seed": list(last.by_seed),
        "local": [{name: plain_json(value) for name, value in slope._asdict().items()} for slope in last.local],
        "bend": plain_json(last.bend),
        "bend_p": plain_json(last.bend_p),
        "lack_of_fit_p": plain_json(last.lack_p),
        "curves": [curve._asdict() for curve in case.curves],
        "theory": case.theory,
        "reset_tests": [vars(test) | {"trapped": test.trapped} for test in case.resets],
        "by_width": [{name: plain_json(value) for name, value in state._asdict().items()} for state in case.states],
        "against": [{"source": gap.second, "difference": gap.mean, "se": plain_json(gap.se)} for gap in case.against],
    }
