"""The checks before a training that need TensorFlow. See `check_jobs`."""

from collections.abc import Sequence

from config import UserError
from data.loading import ImagesRecord, check_length
from data.loading import prepare as prepare_data
from train.experiment.display import progress_bar
from train.experiment.jobs import Job, Measuring, Prepared, require_divisible
from train.runtime.cluster import Cluster
from train.runtime.device import device_name, gpu_count, resolve_auto

# The keys on which checks of data and features depend, for pydantic's `include`.
CHECKED = {
    "data": True,
    "evaluate": {"batch_size", "features"},
    "train": {"batch_size", "discriminator_steps"},
}


def check_jobs(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """Check data, batches and feature networks of all jobs, once for runs with equal ones.

    Prints how the images of a run changed, if they did. Raises UserError, which begins with the
    run's name if other runs need other checks.
    """
    gpus = gpu_count()
    keys = [job.config.model_dump_json(include=CHECKED) for job in jobs]
    images: dict[str, ImagesRecord] = {}
    changes: dict[Job, list[str]] = {}
    for job, key in zip(jobs, keys, strict=True):
        try:
            if not cluster.is_alone:
                require_divisible(job.config, len(cluster.addresses) * max(1, gpus))
            if key not in images:
                images[key] = _check(job, measuring)
            check_length(job.config, images[key]["train"])
            if cluster.is_chief:
                changes[job] = job.check_images(images[key])
        except UserError as error:
            name = f"{job.run}: " if len(set(keys)) > 1 else ""
            raise UserError(f"{name}{error}") from error
    for job, texts in changes.items():
        if texts:
            print(f"{job} goes on with other images: {'; '.join(texts)}")
    precisions = {resolve_auto(job.config.train, job.folder.recorded()).precision for job in jobs}
    steps = [
        images[key]["train"] // job.config.train.images_per_step
        for job, key in zip(jobs, keys, strict=True)
    ]
    return Prepared(steps, gpus, device_name(), sorted(precisions))


def _check(job: Job, measuring: Measuring) -> ImagesRecord:
    """The record of a job's images, if they and the feature network are there."""
    with progress_bar("looking at the data") as on_progress:
        images, notices = prepare_data(job.config, on_progress)
    for notice in notices:
        print(notice)
    measuring.check(job.config)
    return images
