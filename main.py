"""DLSGAN on the command line: `python main.py --help`.

Dynamic Latent Scale for GAN Inversion (Cho and Krzyzak, ICPRAM 2022). Algorithm 1 is in
train/step.py.
"""

import json
import os
import shlex
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported anywhere

import typer

from config import Run, UserError, in_one_line, load
from evaluate.trained import commands as trained_commands
from train.cluster import ALONE
from train.device import import_tensorflow
from train.experiment import (
    JobError,
    default_workers,
    experiment_folder,
    list_jobs,
    prepare_apart,
    run_experiment,
)
from train.job import Job, cluster_of, evaluate_run, run_job
from train.run_folder import RunFolder, read_runs
from train.signals import Stopped, raise_when_signalled

QUICK = Path(__file__).parent / "configs" / "quick.yaml"
FAULT, USER_ERROR = 1, 2

app = typer.Typer(
    help=__doc__, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None
)
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="a YAML file, see configs/")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a key: train.epochs=3")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="where results go")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, metavar="N", help="runs at once [one a GPU, or else one a core]"),
]
RunIndex = Annotated[
    int | None,
    typer.Option("--run-index", min=0, metavar="I", help="of --run-count: this one, from 0"),
]
RunCount = Annotated[
    int | None,
    typer.Option("--run-count", min=1, metavar="N", help="take only every N-th run, draw nothing"),
]
RESULTS = Path("results")
Fresh = Annotated[bool, typer.Option("--fresh", help="start over; the old run is moved aside")]


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False,
):
    """Reproduce the paper's experiment on the embedded digits, if no command is given."""
    if context.invoked_subcommand is None:
        reproduce()


@app.command("reproduce")
def reproduce(
    config: ConfigFile = QUICK,
    overrides: Overrides = [],
    out: Out = RESULTS,
    jobs: Jobs = None,
    run_index: RunIndex = None,
    run_count: RunCount = None,
    fresh: Fresh = False,
):
    """Train all runs of an experiment that are not complete yet, then draw the paper's figures.

    With --run-index and --run-count, one of several such commands, which share the runs between
    them; `figures` draws when all are done.
    """
    from train.display import Display

    settings = load(config, overrides)
    everything = share(list_jobs(settings, out), run_index, run_count)
    cluster = cluster_of(settings)
    if cluster is not ALONE and jobs not in (None, 1):
        raise UserError(f"--jobs: multi_worker trains one run at a time. Received: {jobs}")
    if cluster.is_chief:
        for folder in (RunFolder(job.folder) for job in everything):
            if fresh:
                move_aside(folder)
            folder.check_config(settings)
    to_do = everything
    if cluster is ALONE:  # of several processes, all must go through the same runs
        epochs = settings.train.epochs
        to_do = [job for job in everything if RunFolder(job.folder).epochs_done() < epochs]
    failures = []
    print(
        f"{settings.experiment.name}: {len(to_do)} of {len(everything)} runs to train", flush=True
    )
    if to_do:
        start = time.perf_counter()
        print("looking at the data and the feature network ...", flush=True)
        prepared = prepare_apart(settings, everything, out)
        print(f"training in {' and '.join(prepared.precisions)} on {prepared.device}")
        workers = jobs or default_workers(settings.train, prepared.gpus, to_do)
        with Display(settings, to_do, prepared.steps_per_epoch) as display:
            failures = run_experiment(settings, to_do, out, workers, display.update, prepared.gpus)
        print(f"trained in {(time.perf_counter() - start) / 60:.1f} minutes")
    folder = experiment_folder(settings, out)
    if run_count is not None:
        print(f"when all runs are done: python main.py figures {shlex.quote(str(folder))}")
    elif len(failures) < len(everything) and cluster.is_chief:
        figures(folder)
    if failures:
        raise UserError("; ".join(failures))


@app.command("train")
def train(
    config: ConfigFile,
    run: Annotated[str, typer.Option("--run", metavar="NAME", help="such as normal_dls_dg")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1)] = 0,
    overrides: Overrides = [],
    out: Out = RESULTS,
    fresh: Fresh = False,
):
    """Train one run, from its last checkpoint if there is one."""
    from train.display import Display

    settings = load(config, overrides)
    Run.parse(run)
    job = Job(run, seed, experiment_folder(settings, out) / run / f"seed_{seed}")
    cluster = cluster_of(settings)
    if fresh and cluster.is_chief:
        move_aside(RunFolder(job.folder))
    prepared = prepare_apart(settings, [job], out)
    print(f"training in {' and '.join(prepared.precisions)} on {prepared.device}")
    with Display(settings, [job], prepared.steps_per_epoch) as display:
        if cluster is ALONE:
            run_job(settings, job, out, display.update)
        elif failures := run_experiment(settings, [job], out, 1, display.update):
            raise UserError(failures[0])
    if cluster.is_chief:
        print(f"metrics, images and checkpoints are in {job.folder}")


@app.command("plan")
def plan(config: ConfigFile, overrides: Overrides = [], out: Out = RESULTS, jobs: Jobs = None):
    """Say what an experiment would take, without training: hours, memory, disk."""
    settings = load(config, overrides)
    import_tensorflow()
    from train.display import progress
    from train.plan import make_plan, plan_lines

    with progress("looking at the data") as report:
        made = make_plan(settings, out, jobs, report)
    for line in plan_lines(made):
        print(line)


@app.command("check-data")
def check_data(config: ConfigFile, overrides: Overrides = [], out: Out = RESULTS):
    """Read every image once and report what is there; exit code 1 if training would fail."""
    settings = load(config, overrides)
    import_tensorflow()
    from data.check import check_data, report_lines
    from evaluate.files import write_whole
    from train.display import progress

    with progress("reading all images") as report:
        result = check_data(settings, report)
    for line in report_lines(result):
        print(line)
    path = experiment_folder(settings, out) / "check_data.json"
    text = json.dumps(result, indent=1, ensure_ascii=False)
    write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
    print(f"all of it is in {path}")
    if result["failures"]:
        sys.exit(FAULT)


@app.command("evaluate")
def evaluate(run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="a seed_<n> folder")]):
    """Measure the newest checkpoint of a run again and compare with what was recorded."""
    recorded, measured, per_image = evaluate_run(run)
    from evaluate.results import print_comparison

    print_comparison(recorded, measured, per_image)


@app.command("figures")
def figures(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT_DIR", help="results/<name>")],
):
    """Print the final metrics of an experiment, draw Figures 1-17 and write report.html."""
    import_tensorflow()
    from evaluate.figures import draw_figures
    from evaluate.report import write_report
    from evaluate.results import print_results, write_results

    runs = read_runs(experiment)
    drawn, missing = draw_figures(experiment)
    write_results(runs, experiment / "figures")
    print_results(runs)
    print(f"figures {', '.join(map(str, drawn))} are in {experiment / 'figures'}")
    for number, why in missing.items():
        print(f"figure {number} not drawn: {why}")
    print(f"all on one page: {write_report(experiment)}")


app.add_typer(trained_commands.app)


def share(jobs, index, count):
    """Every `count`-th job from `index` on; all of them if both are None. Raises UserError."""
    if (index is None) != (count is None):
        raise UserError("--run-index I and --run-count N belong together")
    if count is None:
        return jobs
    if index >= count:
        raise UserError(f"--run-index: use 0 to {count - 1} for --run-count {count}")
    return jobs[index::count]


def move_aside(folder):
    aside = folder.move_aside()
    if aside:
        print(f"moved {folder.path} to {aside}")


def main():
    raise_when_signalled()
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # without our source
    warnings.filterwarnings("ignore", "Image size .* exceeds limit")  # Pillow's, of large photos
    try:
        app()
    except Stopped as stopped:
        again = shlex.join(argument for argument in sys.argv if argument != "--fresh")
        print(f"stopped ({stopped}); to go on: python {again}", file=sys.stderr)
        sys.exit(stopped.exit_code)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAULT)
    except (UserError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
