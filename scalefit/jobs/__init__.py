"""Many independent computations, each saved as it finishes: in this process, on several cores, or on dask.

A cell is one call of a function with plain arguments. Its result is one JSON file, so that an interrupted run resumes
where it stopped. A cell that failed is saved as a failure with its reason, never as a number.
"""

from scalefit.jobs.frames import pack_frame, unpack_frame
from scalefit.jobs.job import DONE, FAILED, JobResult, job_key, read_job
from scalefit.jobs.run import run_jobs

__all__ = ["DONE", "FAILED", "JobResult", "job_key", "pack_frame", "read_job", "run_jobs", "unpack_frame"]
