"""Progress on the terminal: a bar for the experiment, one for each run at work. See `Display`."""

import contextlib

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from train.run_folder import RunFolder

_SHOWN = {"encoder_loss": "L_enc {:.3f}", "latent_entropy": "entropy {:.1f}", "fid": "FID {:.1f}"}


def summarise(row):
    """The main metrics of a row in a few words."""
    return "  ".join(
        text.format(row[name]) for name, text in _SHOWN.items() if row.get(name) is not None
    )


@contextlib.contextmanager
def progress(description, console=None):
    """A bar for what takes a while: yields `report(done, total)`."""
    console = console or Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class Display:
    """A context manager; `update` takes each `train.experiment.Report`.

    Where there is no terminal, one line an epoch is printed instead of bars.
    """

    def __init__(self, config, jobs, steps_per_epoch, console=None):
        """`jobs` are those to be trained; what was done of them before does not count."""
        self.epochs = config.train.epochs
        self.steps_per_epoch = steps_per_epoch
        self.console = console or Console()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),  # all of it fits into 80 columns
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[latest]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.done = {job: RunFolder(job.folder).epochs_done() * steps_per_epoch for job in jobs}
        steps = len(jobs) * self.epochs * steps_per_epoch - sum(self.done.values())
        self.total = self.bars.add_task("experiment", total=steps, latest="")
        self.tasks, self.latest = {}, {}
        self.one_seed = len({job.seed for job in jobs}) == 1

    def __enter__(self):
        self.bars.start()
        return self

    def __exit__(self, *_):
        self.bars.stop()

    def update(self, report):
        job, epoch, step, row = report
        done = (epoch - 1) * self.steps_per_epoch + step
        self.bars.advance(self.total, done - self.done[job])
        self.done[job] = done
        self.latest.setdefault(job, {}).update(row)
        task = self.tasks.get(job)
        if task is None:
            task = self.tasks[job] = self.bars.add_task("", total=self.steps_per_epoch, latest="")
        name = job.run if self.one_seed else str(job)
        description = f"{name} {epoch}/{self.epochs}"
        latest = summarise(self.latest[job])
        self.bars.update(task, description=description, completed=step, latest=latest)
        is_epoch_done = "epoch" in row
        if is_epoch_done and epoch == self.epochs:
            self.bars.remove_task(self.tasks.pop(job))
            self.console.print(f"{name} done: {latest}", highlight=False)
        elif is_epoch_done and not self.console.is_terminal:
            self.console.print(f"{description}: {latest}", highlight=False)
