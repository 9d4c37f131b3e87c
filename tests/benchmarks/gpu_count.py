"""Operations and bytes of one training step of the toy model, counted from its configuration.

python -m tests.benchmarks.gpu_count > tests/benchmarks/GPU_COUNT.md
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from scalefit.toy import ToyConfig

SHARE = 4  # samples with one and the same active feature to a row, as in scalefit/toy/gpu/sampling.py
REAL = 4  # bytes
SMALL = {"n_features": 1000, "batch": 2048, "gamma": -1.0}
LARGE = {"n_features": 10_240, "batch": 8192, "gamma": -1.0}
LAWS = {
    "alpha 0": {"alpha": 0.0}, "alpha 1": {"alpha": 1.0}, "alpha 1.2": {"alpha": 1.2}, "alpha 2": {"alpha": 2.0},
    "linear": {"frequency": "linear"}, "exp(-i/400)": {"frequency": "exponential", "scale": 400.0},
}  # fmt: skip


FORMS = (
    "dense, autograd", "dense, recomputed tiles", "active rows, tables", "our rows, recomputed tiles",
    "our rows, a table",
)  # fmt: skip

OURS = FORMS[3]


class Peaks(NamedTuple):
    """What a GPU can do: operations a second by precision, and bytes a second."""

    ieee: float
    tf32: float
    copy: float

    @property
    def tf32x3(self) -> float:
        """Three products of TF32 for one of float32."""
        return self.tf32 / 3

    @property
    def bf16x3(self) -> float:
        """Three products of bfloat16, which are twice as fast as those of TF32."""
        return 2 * self.tf32 / 3


H100 = Peaks(ieee=66.9e12, tf32=494.7e12, copy=3.35e12)
"""NVIDIA's data sheet of the H100 SXM (dense matrix rates); nothing here was measured."""


class Rows(NamedTuple):
    """Expected makeup of a batch."""

    batch: int
    empty: float
    single: float
    several: float
    active: float
    entries: float
    shared: float

    @property
    def ours(self) -> float:
        """Rows that our kernels take through all features."""
        return self.several + self.shared


def expected_rows(config: ToyConfig, share: int = SHARE) -> Rows:
    """Expected samples by their number of active features, active features, entries, and shared rows of singles."""
    p, size = config.probabilities(), config.batch
    if p.max() >= 1:
        raise ValueError("no sample is empty where a feature is always active; count that case by hand")
    empty = np.exp(np.log1p(-p).sum())
    alone = empty * p / (1 - p)  # this feature and no other
    mean = size * alone
    shared = sum(
        binom.sf(np.arange(0, min(size, m + 9 * np.sqrt(m) + 9), share), size, q).sum()
        for m, q in zip(mean, alone, strict=True)
    )
    active = -np.expm1(size * np.log1p(-p)).sum()
    single = size * alone.sum()
    several = size * (1 - empty) - single
    return Rows(size, size * empty, single, several, active, size * p.sum(), float(shared))


def operations(config: ToyConfig, rows: Rows) -> dict[str, float]:
    """Floating-point operations of the products of one step, by form."""
    dense = config.n_features * config.width
    counts = (10 * rows.batch, 8 * rows.batch, 6 * rows.active, 8 * rows.ours, 6 * rows.ours)
    return {form: count * dense for form, count in zip(FORMS, counts, strict=True)}


def fewest_bytes(config: ToyConfig, rows: Rows) -> dict[str, float]:
    """Bytes through device memory in one step, each array once for a read and once for a write, by form."""
    n, m = config.n_features, config.width
    state = 6 * n * m  # W and two moments, read and written
    more = (
        2 * n * m + 8 * rows.batch * n,  # the gradient; x, z, y and g
        4 * rows.batch * m,  # h and t, written and read
        2 * n * m + 6 * rows.active * n,  # G and S, written, changed and read; what samples gather is not counted
        4 * rows.ours * m,
        4 * rows.ours * m + 3 * rows.ours * n,  # g, written once and read twice
    )
    return {form: REAL * (state + one) for form, one in zip(FORMS, more, strict=True)}


def floor(config: ToyConfig, rows: Rows, peaks: Peaks, precision: str) -> float:
    """Seconds that our step of one model cannot fall below, on a GPU that is full of them."""
    work = operations(config, rows)[OURS] / getattr(peaks, precision)
    return max(work, fewest_bytes(config, rows)[OURS] / peaks.copy)


class Overheads(NamedTuple):
    """What the way of cutting the work adds to a step.

    Parameters
    ----------
    padding : float
        Operations of the products over those at the model's own size.
    through_l2 : float
        Bytes of W and h that tiles read again, which the L2 cache has to deliver.
    elementwise : float
        Operations on single numbers between the products, of which none is a multiply-add.
    """

    padding: float
    through_l2: float
    elementwise: float


def overheads(config: ToyConfig, rows: Rows, cut: tuple[int, int, int]) -> Overheads:
    """Count them for tiles of so many rows, features and dimensions."""
    tall, wide, deep = cut
    n, m = (-(-size // tile) * tile for size, tile in ((config.n_features, wide), (config.width, deep)))
    tiles = -(-rows.several // tall) + -(-rows.shared // tall)  # the two kinds of rows do not share a tile
    padded = tiles * tall * n * m
    again = REAL * m * (tiles * n + n / wide * rows.ours)
    single = 2 * config.n_features * (4 * rows.several + 5 * SHARE * rows.shared)  # once by rows, once by features
    return Overheads(padded / (rows.ours * config.n_features * config.width), again, single)


def _overhead_table(setting: dict[str, object], names: list[str]) -> list[str]:
    cuts = {10: (16, 64), 25: (32, 64), 63: (64, 32), 100: (128, 32)}  # width of a tile and features, as stored
    lines = ["| law, m | padding: 32, 64 rows | through L2, MB: 32, 64 rows | elementwise, Mop |", "| --- " * 4 + "|"]
    for name in names:
        rows = expected_rows(ToyConfig(width=8, **setting, **LAWS[name]))
        for m, (deep, wide) in cuts.items():
            config = ToyConfig(width=m, **setting, **LAWS[name])
            small, large = (overheads(config, rows, (tall, max(wide, tall), deep)) for tall in (32, 64))
            lines.append(
                f"| {name}, {m} | {small.padding:.2f}, {large.padding:.2f} | {small.through_l2 / 1e6:.3g}, "
                f"{large.through_l2 / 1e6:.3g} | {small.elementwise / 1e6:.3g} |"
            )
    return lines


def _rows_table(settings: dict[str, dict[str, object]], names: list[str]) -> list[str]:
    heads = (
        "n, batch, law",
        "empty",
        "one active",
        "several",
        "D active rows",
        "shared rows",
        "our rows R",
        "R / batch",
    )
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for label, setting in settings.items():
        for name in names:
            one = ToyConfig(width=8, **setting, **LAWS[name])
            r = expected_rows(one)
            lines.append(
                f"| {label}, {name} | {r.empty:.0f} | {r.single:.0f} | {r.several:.0f} | {r.active:.0f} | "
                f"{r.shared:.0f} | {r.ours:.0f} | {r.ours / r.batch:.2f} |"
            )
    return lines


def _step_table(setting: dict[str, object], names: list[str], widths: list[int]) -> list[str]:
    lines = [
        "| law, m | " + " | ".join(f"{form}: Gop, MB" for form in FORMS) + " | floor of ours, us: ieee, tf32x3, tf32 |",
        "| --- |" + " --- |" * (len(FORMS) + 1),
    ]
    for name in names:
        rows = expected_rows(ToyConfig(width=8, **setting, **LAWS[name]))
        for m in widths:
            config = ToyConfig(width=m, **setting, **LAWS[name])
            work, moved = operations(config, rows), fewest_bytes(config, rows)
            cells = [f"{work[form] / 1e9:.3g}, {moved[form] / 1e6:.3g}" for form in FORMS]
            floors = [f"{floor(config, rows, H100, precision) * 1e6:.3g}" for precision in ("ieee", "tf32x3", "tf32")]
            lines.append(f"| {name}, {m} | " + " | ".join(cells) + " | " + ", ".join(floors) + " |")
    return lines


def map_floor(peaks: Peaks, precision: str) -> float:
    """Seconds for the published map: 17 exponents, 10 decays, 6 widths, 20,000 steps."""
    total = 0.0
    for alpha in np.arange(17) / 8:
        configs = [ToyConfig(width=m, alpha=float(alpha), **SMALL) for m in (10, 15, 25, 39, 63, 100)]
        rows = expected_rows(configs[0])
        total += sum(10 * 20_000 * floor(config, rows, peaks, precision) for config in configs)
    return total


def large_floor(peaks: Peaks, precision: str, law: str = "alpha 1.2") -> float:
    """Seconds for the published large setting: one law, 8 widths, one seed, 40,000 steps."""
    configs = [ToyConfig(width=2**k, **LARGE, **LAWS[law]) for k in range(3, 11)]
    rows = expected_rows(configs[0])
    return sum(40_000 * floor(config, rows, peaks, precision) for config in configs)


def main() -> None:
    """Print the tables."""
    settings = {"1000, 2048": SMALL, "10240, 8192": LARGE}
    print("# Operations and bytes of one step of one model\n")
    print(
        "`python -m tests.benchmarks.gpu_count`. Operations are those of the matrix products alone, at the model's own"
    )
    print("width; bytes count every array once for a read and once for a write. Floors are the larger of operations")
    print("over peak and bytes over bandwidth, by the **data sheet** of an H100 SXM (no GPU was measured): float32")
    print(f"{H100.ieee / 1e12:g} and TF32 {H100.tf32 / 1e12:g} TFLOP/s (three of these products make one of nearly")
    print(f"float32's precision), {H100.copy / 1e12:g} TB/s. E = 1.\n")
    print("## Makeup of a batch\n")
    print("\n".join(_rows_table(settings, ["alpha 0", "alpha 1", "alpha 1.2", "alpha 2", "linear", "exp(-i/400)"])))
    print("\n## n 1000, batch 2048\n")
    print("\n".join(_step_table(SMALL, ["alpha 0", "alpha 1", "alpha 2"], [10, 25, 63, 100])))
    print("\n## What tiles add, n 1000, batch 2048\n")
    print("\n".join(_overhead_table(SMALL, ["alpha 0", "alpha 1", "alpha 2"])))
    print("\n## n 10240, batch 8192\n")
    print("\n".join(_step_table(LARGE, ["alpha 0", "alpha 1.2", "alpha 2"], [8, 64, 256, 1024])))
    print("\n## Whole sweeps, floor in seconds of one H100 (data sheet)\n")
    print("| sweep | ieee | tf32x3 | tf32 |\n| --- | --- | --- | --- |")
    kinds = ("ieee", "tf32x3", "tf32")
    print(
        "| published map, 1,020 models, 20,000 steps | " + " | ".join(f"{map_floor(H100, k):.0f}" for k in kinds) + " |"
    )
    for law in ("alpha 1.2", "linear", "exp(-i/400)"):
        cells = " | ".join(f"{large_floor(H100, k, law):.0f}" for k in kinds)
        print(f"| n 10240, {law}, m = 8 ... 1024, one seed, 40,000 steps | {cells} |")


if __name__ == "__main__":
    main()
