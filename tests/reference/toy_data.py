"""Make a shipped table of toy models from the folders of sweeps.

    python -m tests.reference.toy_data strong > data/toy_strong/table.csv
    python -m tests.reference.toy_data --measures starts zero held > data/toy_starts/table.csv

The columns are those of data/schema.toml, the rows are sorted, and numbers keep nine digits, far more than their error.
With ``--measures`` the start of the biases, what holds the rows, and what was measured on them are columns too.
"""

from __future__ import annotations

import sys

import pandas as pd

from scalefit.toy.records import read_sweep

COLUMNS = (
    "n_features", "frequency", "alpha", "gamma", "density", "batch", "learning_rate", "steps", "seed", "width", "loss",
    "loss_se", "phi_half", "overlap_ms", "weak_reference",
)  # fmt: skip


STARTS = (*COLUMNS[:10], "bias_start", "norm")
MEASURES = (
    *STARTS, "loss", "loss_se", "loss_samples", "phi_half", "alive", "represented", "dead_loss", "norm_median",
    "overlap_ms", "overlap_mean_square", "overlap_skewness", "overlap_kurtosis", "weak_reference",
)  # fmt: skip


def main() -> None:
    folders = [argument for argument in sys.argv[1:] if argument != "--measures"]
    columns, order = (MEASURES, STARTS) if "--measures" in sys.argv else (COLUMNS, COLUMNS[:10])
    table = pd.concat([read_sweep(folder) for folder in folders])
    done = table[table["status"] == "done"]
    rows = done[list(columns)].sort_values(list(order)).astype({"learning_rate": str})
    rows.to_csv(sys.stdout, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
