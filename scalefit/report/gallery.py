"""What a figure of a report is drawn from, and the files of those that were drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalefit.data.sources import locate
from scalefit.data.tables import read_table, resolve
from scalefit.plots.style import svg_bytes
from scalefit.report.blocks import Block, picture
from scalefit.report.spec import Figure
from scalefit.report.steps import StepResult
from scalefit.report.study import FitSpec
from scalefit.results import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Gallery"]


@dataclass
class Gallery:
    """The results that figures show, and the files of figures.

    Parameters
    ----------
    fits : mapping
        Every fit of the study, by name.
    labels : mapping
        What tables and figures call them.
    specs : mapping
        How they were asked for, to find the rows left out.
    folder : Path
        Where a user's tables lie, relative to the study.
    steps : mapping
        The results of the work beside the fits, by name.
    prefix : str
        What the names of the files begin with.
    files : dict
        SVG by file name, filled by :meth:`keep`.
    """

    fits: Mapping[str, Fit]
    labels: Mapping[str, str]
    specs: Mapping[str, FitSpec]
    folder: Path
    steps: Mapping[str, StepResult] = field(default_factory=dict)
    prefix: str = "figure"
    files: dict[str, bytes] = field(default_factory=dict)

    def keep(self, axes: Axes, caption: str, alt: str) -> Block:
        """Keep the file of a figure and return its block.

        Parameters
        ----------
        axes : Axes
            Of the figure.
        caption : str
            Stands below it.
        alt : str
            For readers who cannot see it.

        Returns
        -------
        Block
            For the template; the file is in :attr:`files`.
        """
        name = f"{self.prefix}-{len(self.files) + 1}.svg"
        figure = axes.get_figure(root=True)
        assert figure is not None
        self.files[name] = svg_bytes(figure)
        return picture(name, alt, caption)

    def left_out(self, name: str) -> pd.DataFrame:
        """Return the rows of a fit's table that it did not use, as far as the law can be evaluated there."""
        fit, spec = self.fits[name], self.specs[name]
        table = read_table(locate(spec.data, self.folder), mapping=spec.options.get("mapping"))
        numeric = [fit.law.response, *fit.law.variables]
        frame = resolve(
            table, numeric=numeric, labels=fit.law.groups, derive=tuple(spec.options.get("derive", ())), strict=False
        ).frame
        out = frame.loc[~frame.index.isin(fit.rows.index)]
        values = out[numeric].to_numpy(float)
        usable: pd.DataFrame = out.loc[np.isfinite(values).all(axis=1) & (values > 0).all(axis=1)]
        return usable

    def chosen(self, spec: Figure, default: str) -> dict[str, Fit]:
        """Return the fits of a figure by label."""
        return {self.labels[name]: self.fits[name] for name in spec.fits or (default,)}
