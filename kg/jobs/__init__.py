"""How is long work written down in the graph, so that nothing of it is lost and nothing done twice?

`(:Job {id, kind, graph, state, step, plan, token, lease_until, holder, stage, done, total, result, message …})` is
written before anything is queued. Redis carries only "job J, step S is due"; a message may be lost or come twice.
Whoever works at a step holds the job's lease: signs of life in the node, and a fencing token that rises with every
holder and that the last statement of each of the holder's writing transactions compares.
"""

from kg.jobs.lease import Lease, Progress
from kg.jobs.records import ENDED, OPEN, Job, cancel_job, create_job, find_job, list_jobs

__all__ = ["ENDED", "OPEN", "Job", "Lease", "Progress", "cancel_job", "create_job", "find_job", "list_jobs"]
