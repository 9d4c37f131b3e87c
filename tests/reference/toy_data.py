"""Make a shipped table of toy models from the folders of sweeps.

    python -m tests.reference.toy_data strong > data/toy_strong/table.csv
    python -m tests.reference.toy_data --measures starts zero held > data/toy_starts/table.csv
    python -m tests.reference.toy_data --measures data/toy_starts/table.csv more > build/table.csv

A table that was made before is one of the sources; a model that is in several of them counts once, as in the last.
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


def _read(source: str) -> pd.DataFrame:
    """Read the finished models of a sweep's folder, or a table of such models."""
    if source.endswith(".csv"):
        return pd.read_csv(source)
    table = read_sweep(source)
    return table[table["status"] == "done"]


def main() -> None:
    folders = [argument for argument in sys.argv[1:] if argument != "--measures"]
    columns, order = (MEASURES, STARTS) if "--measures" in sys.argv else (COLUMNS, COLUMNS[:10])
    table = pd.concat([_read(source) for source in folders]).astype({"learning_rate": str})
    rows = table[list(columns)].drop_duplicates(list(order), keep="last").sort_values(list(order))
    rows.to_csv(sys.stdout, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
