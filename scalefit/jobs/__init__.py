"""Many independent computations, each kept as it finishes: in this process, over cores, or on a dask scheduler.

A cell is one call of a function with plain arguments. Its result is one JSON file, so that a run that was cut short
goes on where it stopped, and a cell that failed stays a failure with its reason, never a number.
"""

from scalefit.jobs.frames import pack_frame, unpack_frame
from scalefit.jobs.job import DONE, FAILED, JobResult, job_key, read_job
from scalefit.jobs.run import run_jobs

__all__ = ["DONE", "FAILED", "JobResult", "job_key", "pack_frame", "read_job", "run_jobs", "unpack_frame"]
