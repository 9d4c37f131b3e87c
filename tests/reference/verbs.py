"""What every verb prints on the shipped data, to be compared before and after a change of the house.

Run ``python -m tests.reference.verbs FOLDER`` once before and once after; then ``diff -r`` the two folders. Each file
holds the exit code, standard output and standard error of one command; times are left out. Commands run in a temporary
folder, in the order of the list, since later ones read the files of earlier ones.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HUBER = 'fit chinchilla "loss ~ E + A/params^alpha + B/tokens^beta" --loss huber --drop-highest-loss 5'
WIDTH = "bayes chinchilla width_depth --drop-highest-loss 40 --likelihood normal --path fast"
SENSITIVITY = (
    "sensitivity chinchilla width_depth --param a_m --reference 1 --region 0.9,1.1 --drop-highest-loss 40 --path fast "
    "--draws 500"
)

COMMANDS = {
    "fit": f"{HUBER} --out epoch.fit",
    "fit-json": f"{HUBER} --json",
    "fit-hc3": "fit chinchilla chinchilla --uncertainty hc3 --where 'loss < 8'",
    "fit-cluster": "fit chinchilla width_depth --uncertainty cluster --cluster shape --drop-highest-loss 40",
    "fit-jackknife": "fit gemstones chinchilla --uncertainty jackknife --space linear",
    "fit-profile": "fit chinchilla chinchilla --uncertainty profile --exponents free --drop-highest-loss 5 --ties keep",
    "fit-families": "fit llm_families family_width --bootstrap 200 --out families.fit",
    "fit-one-per-family": 'fit llm_families "loss ~ E + A/params^alpha" --where \'family == "OPT"\' --bootstrap 0',
    "fit-sweep": "fit toy_strong 'loss ~ A/width^a' --bootstrap 0",
    "bayes": f"{WIDTH} --out wd.fit",
    "bayes-json": f"{WIDTH} --json",
    "bayes-cluster": f"{WIDTH} --cluster shape --out shape.fit",
    "bayes-pool": "bayes llm_families family_width --path fast --draws 1000 --prior 'alpha=HalfNormal(1)'",
    "show": "show epoch.fit",
    "show-json": "show epoch.fit --json",
    "show-posterior": "show wd.fit --json",
    "predict": "predict epoch.fit --at params=7B,tokens=1.4T",
    "predict-json": "predict wd.fit --at width=4096,depth=32,tokens=1.4T --json --prob 0.9",
    "predict-table": "predict epoch.fit chinchilla --out predicted.csv",
    "compare": "compare wd.fit shape.fit --param a_m --reference 1 --region 0.9,1.1 --published paper=0.91,0.04",
    "compare-json": "compare wd.fit shape.fit --param a_m --reference 1 --region 0.9,1.1 --json",
    "sensitivity": SENSITIVITY,
    "sensitivity-json": f"{SENSITIVITY} --json",
    "calibrate": "calibrate chinchilla chinchilla --drop-highest-loss 5 --n 20 --path fast --draws 500",
    "calibrate-json": "calibrate chinchilla chinchilla --drop-highest-loss 5 --n 10 --engine leastsq --draws 100 "
    "--json",
    "optimum": "optimum epoch.fit --compute 5.76e23",
    "optimum-json": "optimum epoch.fit --compute 5.76e23,1e21 --json",
    "optimum-posterior": "optimum wd.fit --compute 1e21",
    "isoflop": "isoflop marin_isoflop --by train_set",
    "isoflop-json": "isoflop marin_isoflop --by train_set --json",
    "datasets": "datasets",
    "datasets-one": "datasets gemstones",
    "toy-grid": "toy grid",
    "wrong-column": "fit chinchilla 'loss ~ E + A/parms^alpha'",
    "wrong-option": "fit chinchilla chinchilla --space log2",
    "idle-option": "fit chinchilla chinchilla --delta 0.1",
    "wrong-map": "fit chinchilla chinchilla --map parms=params",
}


def run(name: str, words: str, folder: Path) -> str:
    """Return exit code, output and errors of one command."""
    code = f"import sys; sys.argv = ['scalefit', *{shlex.split(words)!r}]; from scalefit.cli import main; main()"
    environment = os.environ | {"COLUMNS": "100", "MKL_CBWR": "COMPATIBLE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    errors = re.sub(r"\d+(\.\d+)? s\b", "TIME", done.stderr)
    return f"$ scalefit {words}\nexit {done.returncode}\n{done.stdout}\n--- errors\n{errors}"


def main() -> None:
    """Write one file for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", help="names of commands; all without it")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for name, words in COMMANDS.items():
            if given.only is None or name in given.only:
                (given.folder / f"{name}.txt").write_text(run(name, words, Path(work)), encoding="utf-8")
                print(name, flush=True)


if __name__ == "__main__":
    main()
