"""Run thousands of random command lines and list every promise that one of them breaks.

python -m tests.reference.fuzz --cases 5000 --seed 1 --out fuzz.json
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing import CASES, Case, rule_key, run_case

SHARE = {
    "fit": 6,
    "bayes": 2,
    "report": 2,
    "toy sweep": 1,
    "isoflop": 2,
    "predict": 2,
    "show": 1,
    "optimum": 2,
    "compare": 2,
}


def main() -> None:
    """Print one line a defect: how often, its key, and the first command that shows it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbs", default=",".join(CASES))
    parser.add_argument("--out", type=Path, help="Write defects here as JSON.")
    asked = parser.parse_args()
    verbs = asked.verbs.split(",")
    total = sum(SHARE[verb] for verb in verbs)
    defects: dict[str, dict[str, object]] = {}
    ran, start = 0, time.process_time()
    for verb in verbs:
        count = max(1, round(asked.cases * SHARE[verb] / total))
        slowest = _run_verb(verb, count, asked.seed, defects)
        ran += count
        print(f"{verb}: {count} cases, slowest {slowest:.1f} s CPU, {len(defects)} defects so far", flush=True)
    print(f"{ran} cases, {time.process_time() - start:.0f} s CPU, {len(defects)} defects")
    for key, entry in sorted(defects.items(), key=lambda item: -int(str(item[1]["times"]))):
        print(f"{entry['times']:>5}  {key}")
    if asked.out is not None:
        asked.out.write_text(json.dumps(defects, indent=1, ensure_ascii=True), encoding="utf-8")


def _run_verb(verb: str, count: int, number: int, defects: dict[str, dict[str, object]]) -> float:
    """Run cases of one verb, add to the defects, and return the CPU time of the slowest case."""
    seconds = [0.0]

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(number)
    @given(CASES[verb]())
    def one(case: Case) -> None:
        before = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            broken = run_case(case).broken
        seconds.append(time.process_time() - before)
        for text in broken:
            entry = defects.setdefault(f"{verb}: {rule_key(text)}", {"times": 0, "case": repr(case), "text": text})
            entry["times"] = int(str(entry["times"])) + 1

    one()
    return max(seconds)


if __name__ == "__main__":
    main()
