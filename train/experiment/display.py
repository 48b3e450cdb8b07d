"""Progress on the terminal: a bar for the experiment, one for each job at work. See `Display`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from train.experiment.jobs import Job, Resumed, StepsDone

_SECONDS_BETWEEN_LINES = 60


@contextlib.contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for what takes a while: yields `on_progress(done, total)`."""
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class Display:
    """A context manager; `update` takes each `Resumed` and `StepsDone`.

    Where there is no terminal, it prints lines instead of bars: one when an epoch of a job is done,
    and within epochs one a minute for each job.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        steps_per_epoch: Sequence[int],
        summarise: Callable[[Mapping[str, Any]], str],
        console: Console | None = None,
    ) -> None:
        """`jobs` are those to be trained, each with its `steps_per_epoch`.

        `summarise` puts the main metrics of a row into a few words.
        """
        self.steps_per_epoch = dict(zip(jobs, steps_per_epoch, strict=True))
        self.summarise = summarise
        self.console = console or Console()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),  # the whole line fits into 80 columns
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[latest]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        steps_of = self.steps_per_epoch
        self.done = {job: job.folder.epochs_done() * steps_of[job] for job in jobs}
        steps = sum(job.config.train.epochs * steps_of[job] for job in jobs)
        steps -= sum(self.done.values())  # an earlier call did these
        self.total = self.bars.add_task("experiment", total=steps, latest="")
        self.tasks: dict[Job, Any] = {}
        self.latest: dict[Job, dict[str, Any]] = {}
        self.last_line: dict[Job, tuple[float, int]] = {}  # its time, and the steps done by then
        self.has_one_seed = len({job.seed for job in jobs}) == 1

    def __enter__(self) -> "Display":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def update(self, event: Resumed | StepsDone) -> None:
        """Show from where a job goes on, or its steps and what their row says."""
        name = event.job.run if self.has_one_seed else str(event.job)
        if isinstance(event, Resumed):
            self.console.print(f"{name} {event}", highlight=False)
        else:
            self._show_steps(name, event)

    def _show_steps(self, name: str, event: StepsDone) -> None:
        job, epoch, step, row = event
        self._advance(job, (epoch - 1) * self.steps_per_epoch[job] + step)
        self.latest.setdefault(job, {}).update(row)
        epochs = job.config.train.epochs
        description, latest = f"{name} {epoch}/{epochs}", self.summarise(self.latest[job])
        if job not in self.tasks:
            steps = self.steps_per_epoch[job]
            self.tasks[job] = self.bars.add_task("", total=steps, latest="")
        self.bars.update(self.tasks[job], description=description, completed=step, latest=latest)
        is_epoch_done = "epoch" in row
        if is_epoch_done and epoch == epochs:
            self.bars.remove_task(self.tasks.pop(job))
            self._print(job, f"{name} done: {latest}")
        elif is_epoch_done and not self.console.is_terminal:
            self._print(job, f"{description}: {latest}")
        elif not self.console.is_terminal:
            self._print_each_minute(event, description)

    def _print_each_minute(self, event: StepsDone, description: str) -> None:
        """Print a line of steps if the job's last line is a minute old."""
        job, _, step, row = event
        now, done = self.console.get_time(), self.done[job]
        since, done_before = self.last_line.setdefault(job, (now, done))
        if now - since < _SECONDS_BETWEEN_LINES:
            return
        speed = (done - done_before) * job.config.train.images_per_step / (now - since)
        steps = f"step {step:,} of {self.steps_per_epoch[job]:,}"
        self._print(job, f"{description}: {steps}  {self.summarise(row)}  {speed:,.1f} images/s")

    def _print(self, job: Job, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)
        self.last_line[job] = self.console.get_time(), self.done[job]

    def _advance(self, job: Job, done: int) -> None:
        self.bars.advance(self.total, done - self.done[job])
        self.done[job] = done
