"""DLSGAN on the command line: `python main.py --help`.

Dynamic Latent Scale for GAN Inversion (Cho and Krzyzak, ICPRAM 2022). Algorithm 1 is in
train/step.py.
"""

import os
import shlex
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported anywhere
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C shows no traceback of the imports below

import typer

from config import UserError, in_one_line, load
from config.usage import explain_usage, require_values
from data.storage import NewFolder
from evaluate.exchange import command_line as exchange
from evaluate.inversion import command_line as trained_runs
from evaluate.inversion.methods import command_line as inversion
from evaluate.measuring import Measuring
from evaluate.metrics.table import summarise
from evaluate.options import (
    RESULTS,
    AcceptNewData,
    Checkpoint,
    ConfigFile,
    Fresh,
    JobsAtOnce,
    Overrides,
    Raw,
    ResultsFolder,
    RunCount,
    RunDir,
    RunIndex,
    Seeds,
    add_seeds,
)
from evaluate.report.terminal import print_any_character, replace_closed_streams
from evaluate.textures import command_line as textures
from train.experiment.all_jobs import check_folders, train_jobs
from train.experiment.jobs import (
    experiment_folder,
    list_jobs,
    make_job,
    reopen_job,
    select_jobs,
    shared_distribution,
)
from train.runs.experiment import read_compared_runs, read_runs
from train.runs.folder import RunFolder
from train.runtime.cluster import read_cluster
from train.runtime.processes import FaultError
from train.runtime.signals import Stopped, raise_when_signalled
from train.runtime.startup import import_tensorflow, shorten_warnings

QUICK = Path(__file__).parent / "configs" / "quick.yaml"
FAULT, USER_ERROR = 1, 2
_ONCE = ("--fresh", "--accept-new-data")  # not again, if the command is interrupted and repeated

app = typer.Typer(
    help=__doc__, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None
)


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False,
) -> None:
    """Reproduce the paper's experiment on the embedded digits, if no command is given."""
    if context.invoked_subcommand is None:
        reproduce()


@app.command("reproduce")
def reproduce(
    config_file: ConfigFile = QUICK,
    overrides: Overrides = [],
    seeds: Seeds = None,
    out: ResultsFolder = RESULTS,
    jobs_at_once: JobsAtOnce = None,
    run_index: RunIndex = None,
    run_count: RunCount = None,
    fresh: Fresh = False,
    accept_new_data: AcceptNewData = False,
) -> None:
    """Train all runs of an experiment that are not complete yet, then draw the figures.

    With --run-index and --run-count it trains one share of the runs; other commands train the rest,
    and `figures` draws when all are done.
    """
    config = load(config_file, add_seeds(overrides, seeds))
    jobs = select_jobs(list_jobs(config, out, accept_new_data), run_index, run_count)
    distribution = shared_distribution(jobs)
    cluster = read_cluster(distribution)
    if distribution == "multi_worker" and jobs_at_once not in (None, 1):
        raise UserError(f"--jobs: multi_worker trains one run at a time. Received: {jobs_at_once}")
    check_folders(jobs, cluster, fresh)
    to_do = jobs
    if cluster.is_alone:  # the processes of a cluster must all go through the same runs
        to_do = [job for job in jobs if job.epochs_left()]
    print(f"{config.experiment.name}: {len(to_do)} of {len(jobs)} runs to train", flush=True)
    failures: list[str] = []
    if to_do:
        failures = train_jobs(to_do, cluster, Measuring(out), summarise, jobs_at_once)
    folder = experiment_folder(config, out)
    if run_count is not None:
        print(f"when all runs are done: python main.py figures {shlex.quote(str(folder))}")
    elif len(failures) < len(jobs) and cluster.is_chief:
        runs = read_runs(folder, config)
        with_matplotlib().figures(runs, folder)
    if failures:
        raise UserError("; ".join(failures))


@app.command("train")
def train(
    config_file: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="a YAML file, see configs/")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="such as normal_dls_dg")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="[0]")] = None,
    overrides: Overrides = [],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="where results go [results]")
    ] = None,
    fresh: Fresh = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN_DIR", help="go on in this folder, without CONFIG"),
    ] = None,
    accept_new_data: AcceptNewData = False,
) -> None:
    """Train one run, from its last checkpoint if there is one.

    Either CONFIG and --run say which run, or --resume names the folder of a trained or imported
    run: config, name and seed are then its own.
    """
    given = {"CONFIG": config_file, "--run": run, "--seed": seed, "--out": out}
    if resume:
        job = reopen_job(resume, overrides, accept_new_data, given | {"--fresh": fresh or None})
    elif config_file is None or run is None:
        raise UserError("train takes CONFIG and --run NAME, or --resume RUN_DIR")
    else:
        config = load(config_file, overrides)
        job = make_job(config, run, seed or 0, out or RESULTS, accept_new_data)
    cluster = read_cluster(job.config.train.distribution)
    check_folders([job], cluster, fresh)
    if cluster.is_alone and not job.epochs_left():
        print(f"complete: {job.folder.epochs_done()} of {job.config.train.epochs} epochs")
        return
    measuring = Measuring(job.folder.results_folder if resume else out or RESULTS)
    if failures := train_jobs([job], cluster, measuring, summarise):
        raise UserError(failures[0])
    if cluster.is_chief:
        print(f"metrics, images and checkpoints are in {job.folder.path}")


@app.command("plan")
def plan(
    config_file: ConfigFile,
    overrides: Overrides = [],
    seeds: Seeds = None,
    out: ResultsFolder = RESULTS,
    jobs_at_once: JobsAtOnce = None,
) -> None:
    """Say what an experiment would take, without training: hours, memory, disk."""
    config = load(config_file, add_seeds(overrides, seeds))
    with_tensorflow().plan(config, out, jobs_at_once)


@app.command("check-data")
def check_data(
    config_file: ConfigFile, overrides: Overrides = [], out: ResultsFolder = RESULTS
) -> None:
    """Read every image once and report what is there; exit code 1 if training would fail."""
    config = load(config_file, overrides)
    path = experiment_folder(config, out) / "check_data.json"
    if not with_tensorflow().check_data(config, path, Measuring(out)):
        sys.exit(FAULT)


@app.command("evaluate")
def evaluate(run: RunDir, checkpoint: Checkpoint = "last", raw: Raw = False) -> None:
    """Measure a checkpoint of a run again and compare with what was recorded."""
    RunFolder(run).read()
    with_tensorflow().evaluate(run, checkpoint, raw)


@app.command("figures")
def figures(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT_DIR", help="results/<name>")],
) -> None:
    """Print the final metrics of an experiment, draw its figures and write report.html."""
    runs = read_runs(experiment)
    with_matplotlib().figures(runs, experiment)


@app.command("compare")
def compare(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="results/<name>, one of its runs, or a seed_<n>"),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="a new folder")],
) -> None:
    """Put runs of several experiments into the same figures, table and page."""
    runs = read_compared_runs(folders or [])
    NewFolder(out).require_free()
    with_matplotlib().compare(runs, out)


app.add_typer(trained_runs.app)
app.add_typer(inversion.app)
app.add_typer(exchange.app)
app.add_typer(textures.app)


def with_tensorflow() -> ModuleType:
    """The commands that compute: TensorFlow takes seconds to import, so this comes late."""
    import_tensorflow()
    from evaluate import commands

    return commands


def with_matplotlib() -> ModuleType:
    """The commands that draw: Matplotlib and Plotly take a second to import."""
    os.environ["MPLBACKEND"] = "agg"  # whatever the user chose for other programs
    from evaluate.report import commands

    return commands


def main() -> None:
    raise_when_signalled()
    replace_closed_streams()
    print_any_character()
    shorten_warnings()
    try:
        require_values(sys.argv[1:])
        sys.exit(app(standalone_mode=False, prog_name="python main.py"))
    except typer.TyperException as error:
        print(f"error: {explain_usage(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except Stopped as stopped:
        again = shlex.join(argument for argument in sys.argv if argument not in _ONCE)
        print(f"stopped ({stopped}); to go on: python {again}", file=sys.stderr)
        sys.exit(stopped.exit_code)
    except FaultError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAULT)
    except (UserError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
