"""What it costs to measure a head: CPU seconds and memory, by width, on synthetic files with 151,936 rows.

Run by hand: python -m tests.reference.heads_cost [WIDTH ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from scalefit.models import measure_head

VOCAB = 151_936
BLOCK = 8192


def write(path: Path, width: int) -> None:
    """A head with the mean row and the uneven columns of real ones, in BF16, with a final norm."""
    rng = np.random.default_rng(width)
    scale, mean = np.exp(rng.normal(0, 0.5, width)).astype(np.float32), rng.standard_normal(width).astype(np.float32)
    header = {
        "lm_head.weight": {"dtype": "BF16", "shape": [VOCAB, width], "data_offsets": [0, 2 * VOCAB * width]},
        "model.norm.weight": {
            "dtype": "BF16", "shape": [width], "data_offsets": [2 * VOCAB * width, 2 * VOCAB * width + 2 * width]
        },
    }  # fmt: skip
    text = json.dumps(header).encode()
    with (path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for start in range(0, VOCAB, BLOCK):
            rows = rng.standard_normal((min(BLOCK, VOCAB - start), width), dtype=np.float32) * scale + 0.3 * mean
            file.write((rows.view(np.uint32) >> 16).astype("<u2").tobytes())
        file.write((scale.view(np.uint32) >> 16).astype("<u2").tobytes())
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "rms_norm_eps": 1e-6}))


def measure(path: Path, spectrum: str) -> None:
    """Measure one head in this process, and print what it cost."""
    head = measure_head(path, spectrum=spectrum)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}
    print(json.dumps(cost | {"effective": head.overlap_ms_effective * head.width, "raw": head.overlap_ms * head.width}))


def main() -> None:
    """Measure each width in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("widths", type=int, nargs="*", default=[512, 1024, 2048, 4096])
    parser.add_argument("--measure", type=Path, help="measure this folder, in this process")
    parser.add_argument("--spectrum", default="auto")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.spectrum)
        return
    print("  width  eigenvalues  CPU s  CPU s / (m/1024)^2  peak MB  raw x m  effective x m")
    for width in options.widths:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), width)
            for spectrum in ("no", "yes"):
                call = [sys.executable, "-m", __spec__.name, "--measure", folder, "--spectrum", spectrum]
                done = subprocess.run(call, check=True, capture_output=True, text=True, env=os.environ)
                cost = json.loads(done.stdout)
                print(
                    f"{width:7d}  {spectrum:>11s}  {cost['cpu']:5.1f}  {cost['cpu'] / (width / 1024) ** 2:18.1f}  "
                    f"{cost['mb']:7.0f}  {cost['raw']:7.2f}  {cost['effective']:13.2f}", flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    main()
