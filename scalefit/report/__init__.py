"""Reports: from a study file to a PDF."""

from scalefit.report.build import build_report
from scalefit.report.look import Look, look
from scalefit.report.new import new_study
from scalefit.report.reader import read_study
from scalefit.report.study import Study

__all__ = ["Look", "Study", "build_report", "look", "new_study", "read_study"]
