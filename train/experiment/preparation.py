"""Everything that training needs, checked before it starts. See `prepare_apart`."""

from collections.abc import Sequence

from train.experiment.jobs import Job, Measuring, Prepared
from train.runtime import processes
from train.runtime.cluster import Cluster
from train.runtime.startup import import_tensorflow


def prepare(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """Check folders, data and feature network before training starts. Raises UserError."""
    if cluster.is_chief:
        for job in jobs:
            job.check_folder()
        for job in jobs:
            job.folder.create()
    import_tensorflow()
    from train.experiment.checks import check_jobs

    return check_jobs(jobs, cluster, measuring)


def prepare_apart(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """`prepare` in a process of its own. Raises FaultError too, see `processes.call`."""
    return processes.call("the preparation", prepare, jobs, cluster, measuring)
