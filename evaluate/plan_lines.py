"""A plan in words. See `plan_lines`."""

from collections.abc import Iterator

from evaluate.plan import Plan, RunCost

_GIGA = 1e9


def plan_lines(plan: Plan) -> Iterator[str]:
    """The plan in words, a line each."""
    for cost in plan.costs:
        yield from _cost_lines(plan, cost)
    jobs = [cost for cost in plan.costs for _ in range(plan.seeds * len(cost.runs))]
    at_once = plan.jobs_at_once
    yield f"the experiment: {_duration(_schedule(jobs, at_once))}, {at_once} at a time"
    memory = at_once * max(cost.step.memory_bytes for cost in plan.costs)
    yield f"memory: {_size(memory)} while training"
    cache = max(cost.cache_bytes for cost in plan.costs)
    yield (
        f"disk, at most: {_size(sum(job.checkpoint_bytes for job in jobs))} of checkpoints, "
        f"{_size(sum(job.sheet_bytes for job in jobs))} of image sheets"
        + (f", {_size(cache)} of decoded images" if cache else "")
    )
    yield from (f"missing: {what}" for what in plan.missing)


def _cost_lines(plan: Plan, cost: RunCost) -> Iterator[str]:
    """What one run takes; several kinds of runs are told apart by their names."""
    step, data, gflops = cost.step, cost.data, cost.step.flops_per_image / _GIGA
    count = plan.seeds * len(cost.runs)
    what = f"{count} run{'s' if count > 1 else ''}"
    if len(plan.costs) > 1:
        what += f" ({', '.join(cost.runs)})"
    yield f"{plan.name}: {what} of {cost.epochs} epochs of {data.steps_per_epoch:,} steps"
    yield "parameters: " + ", ".join(f"{name} {n:,}" for name, n in step.parameters.items())
    yield (
        f"a step takes {gflops:.3g} GFLOP an image; in {cost.precision} on {plan.device}: "
        f"{step.seconds:.3g} s, {step.images_per_second:.3g} images/s, "
        f"{gflops * step.images_per_second:.3g} GFLOP/s"
    )
    yield (
        f"a run: {_duration(cost.training_seconds)} of training, "
        f"{_duration(cost.all_evaluations_seconds)} of evaluation "
        f"({cost.evaluations} times {data.test_images:,} images)"
    )
    if data.images_read_per_second:
        needed = plan.jobs_at_once * step.images_per_second
        waiting = max(0.0, 1.0 - data.images_read_per_second / needed)
        yield (
            f"data: {data.images_read_per_second:,.0f} images/s can be read, "
            f"training takes {needed:,.3g}: "
            + (f"it would wait {waiting:.0%} of the time" if waiting else "it does not wait")
        )


def _schedule(jobs: list[RunCost], at_once: int) -> float:
    """Seconds until all jobs are done, each begun as soon as a place is free."""
    free_at = [0.0] * at_once
    for job in jobs:
        free_at.sort()
        free_at[0] += job.training_seconds + job.all_evaluations_seconds
    return max(free_at)


def _duration(seconds: float) -> str:
    for unit, unit_seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{seconds / unit_seconds:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(count: float) -> str:
    return f"{count / _GIGA:.1f} GB" if count >= _GIGA / 10 else f"{count / 1e6:.1f} MB"
