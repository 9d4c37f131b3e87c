"""Compile every kernel for an H100 without having one: what the interpreter cannot see.

    python -m tests.benchmarks.gpu_compile --widths 10,25,63,100,1024 --precisions ieee,tf32x3

prints for each kernel the registers of a thread, the bytes that did not fit them, and the shared memory of a program.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from scalefit.toy import ToyConfig
from scalefit.toy.gpu import engine
from scalefit.toy.gpu.tiles import tiles_for

KERNELS = (
    "draw_points", "number_rows", "lay_out", "order_rows", "row_pass", "feature_pass", "loss_pass", "tally",
)  # fmt: skip


class NoDevice:
    """What Triton asks of a driver to compile for compute capability 9.0."""

    def get_current_target(self) -> GPUTarget:
        """Return the target."""
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """Return the first."""
        return 0

    def get_current_stream(self, _device: int | None = None) -> int:
        """Return the default one."""
        return 0


class Compiled:
    """Stands for a kernel: a launch only compiles it, and notes what it needs."""

    def __init__(self, kernel: Any, name: str) -> None:
        self.kernel, self.name = kernel, name

    def __getitem__(self, grid: Any) -> Any:
        """Take a grid, as a kernel does."""
        return partial(self.compile, grid)

    def compile(self, grid: Any, *arguments: Any, **options: Any) -> None:
        """Compile for these arguments."""
        built = self.kernel.warmup(*arguments, grid=grid, **options)
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            Path(file.name).write_bytes(built.asm["cubin"])
            tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
            said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
        registers, stack = re.findall(r"REG:(\d+) STACK:(\d+)", said)[-1]
        print(
            f"{self.name:14} registers {registers:>3}  spilled {stack:>5}  shared {built.metadata.shared:>6}",
            flush=True,
        )


def main() -> None:
    """Compile what a draw, a step and a measurement launch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="10,25,63,100,1024")
    parser.add_argument("--precisions", default="ieee,tf32x3")
    options = parser.parse_args()
    driver.set_active(NoDevice())
    for name in KERNELS:
        setattr(engine, name, Compiled(getattr(engine, name), name))
    engine.SLOTS = 2
    for width in map(int, options.widths.split(",")):
        config = ToyConfig(width=width, alpha=1.0, n_features=max(1000, 2 * width), steps=20)
        for precision in options.precisions.split(","):
            tiles = tiles_for(width)._replace(precision=precision)
            print(f"m {width}, {tiles}")
            group = engine.build([config] * 2, "cpu", tiles)
            engine.train(group, 1)
            engine.measure(group, 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
