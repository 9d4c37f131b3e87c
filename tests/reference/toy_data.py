"""Make a shipped table of toy models from the folder of a sweep.

    python -m tests.reference.toy_data strong > data/toy_strong/table.csv

The columns are those of data/schema.toml, the rows are sorted, and losses keep nine digits, far more than their error.
"""

from __future__ import annotations

import sys

from scalefit.toy.records import read_sweep

COLUMNS = (
    "n_features", "frequency", "alpha", "gamma", "density", "batch", "learning_rate", "steps", "seed", "width", "loss",
    "loss_se", "phi_half", "overlap_ms", "weak_reference",
)  # fmt: skip


def main() -> None:
    table = read_sweep(sys.argv[1])
    done = table[table["status"] == "done"]
    rows = done[list(COLUMNS)].sort_values(list(COLUMNS[:10])).astype({"learning_rate": str})
    rows.to_csv(sys.stdout, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
