"""Progress on a terminal, and in a log."""

import io

import pytest
from rich.console import Console

from evaluate.metrics.table import summarise
from tests.conftest import make_job
from train.experiment.display import Display
from train.experiment.jobs import Resumed, StepsDone

STEPS = [100, 100]  # an epoch, of each job
ROW = {"encoder_loss": 0.8471, "latent_entropy": 139.84, "fid": 180.31}


@pytest.fixture
def make_jobs(tmp_path, make_config):
    """A function: two jobs, with some keys of their config changed."""

    def make(**changes):
        config = make_config(**changes)
        return [
            make_job(config, tmp_path / run, run) for run in ("normal_dls_dg", "uniform_mse_dg")
        ]

    return make


def test_one_bar_for_the_experiment_and_one_for_each_run_in_80_columns(make_jobs):
    jobs = make_jobs(**{"train.epochs": 12})
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with Display(jobs, STEPS, summarise, console) as display:
        for job in jobs:
            display.update(StepsDone(job, 12, 50, ROW))
        display.bars.refresh()
        experiment = display.bars.tasks[0]
        assert (experiment.completed, experiment.total) == (2 * 1150, 2 * 1200)
        shown = io.StringIO()
        Console(file=shown, width=80).print(display.bars.get_renderable())
    experiment, first, second = shown.getvalue().splitlines()
    assert experiment.startswith("experiment")
    assert " 96%" in experiment
    assert first.startswith("normal_dls_dg 12/12")
    assert second.startswith("uniform_mse_dg 12/12")
    assert second.rstrip().endswith("L_enc 0.847  entropy 139.8  FID 180.3")


def test_epochs_of_an_earlier_start_do_not_count(make_jobs):
    jobs = make_jobs()
    jobs[0].folder.create()
    jobs[0].folder.metrics_path.write_text('{"epoch": 1, "protocol": {}}\n')
    with Display(jobs, STEPS, summarise) as display:
        assert display.bars.tasks[0].total == 300
        display.update(StepsDone(jobs[0], 2, 30, {}))
        assert display.bars.tasks[0].completed == 30


@pytest.mark.parametrize(
    ("is_done", "text"),
    [(True, "after epoch 5 of 12, step 2345"), (False, "in epoch 5 of 12, after step 2345")],
)
def test_a_line_says_from_where_a_job_goes_on(make_jobs, is_done, text):
    jobs, log = make_jobs(**{"train.epochs": 12}), io.StringIO()
    with Display(jobs, STEPS, summarise, Console(file=log, width=80)) as display:
        display.update(Resumed(jobs[0], 5, 2345, is_done))
    assert log.getvalue() == f"normal_dls_dg goes on {text}\n"


def test_a_log_gets_a_line_an_epoch(make_jobs):
    jobs = make_jobs()
    log = io.StringIO()
    with Display(jobs, STEPS, summarise, Console(file=log, width=80)) as display:
        display.update(StepsDone(jobs[0], 1, 50, {"encoder_loss": 2.0}))
        display.update(StepsDone(jobs[0], 1, 100, ROW | {"epoch": 1}))
        display.update(StepsDone(jobs[0], 2, 100, ROW | {"epoch": 2}))
    assert log.getvalue().splitlines() == [
        "normal_dls_dg 1/2: L_enc 0.847  entropy 139.8  FID 180.3",
        "normal_dls_dg done: L_enc 0.847  entropy 139.8  FID 180.3",
    ]


def test_a_log_gets_a_line_a_minute_for_each_job(make_jobs):
    """Images a second are those since the job's line before; an evaluation does not count."""
    first, second = make_jobs()  # in batches of 4
    log, now = io.StringIO(), [1000.0]
    console = Console(file=log, width=40, get_time=lambda: now[0])
    with Display([first, second], [1500, 1500], summarise, console) as display:
        for time, job, epoch, step, row in (
            (1000.0, first, 1, 10, {"encoder_loss": 2.0}),
            (1059.9, first, 1, 1000, {"encoder_loss": 1.75}),
            (1060.0, second, 1, 10, {"encoder_loss": 9.0}),
            (1060.0, first, 1, 1210, {"encoder_loss": 1.5}),
            (1080.0, first, 1, 1500, {"encoder_loss": 1.25}),
            (1500.0, first, 1, 1500, ROW | {"epoch": 1}),
            (1500.5, first, 2, 2, {"encoder_loss": 0.75}),
            (1561.0, first, 2, 61, {"encoder_loss": 0.5}),
            (1561.0, second, 1, 11, {"encoder_loss": 8.0}),
        ):
            now[0] = time
            display.update(StepsDone(job, epoch, step, row))
    assert log.getvalue().splitlines() == [
        "normal_dls_dg 1/2: step 1,210 of 1,500  L_enc 1.500  80.0 images/s",
        "normal_dls_dg 1/2: L_enc 0.847  entropy 139.8  FID 180.3",
        "normal_dls_dg 2/2: step 61 of 1,500  L_enc 0.500  4.0 images/s",
        "uniform_mse_dg 1/2: step 11 of 1,500  L_enc 8.000  0.0 images/s",
    ]


def test_a_terminal_gets_no_lines_of_steps(make_jobs):
    job, _ = jobs = make_jobs()
    shown, now = io.StringIO(), [0.0]
    console = Console(file=shown, width=80, force_terminal=True, get_time=lambda: now[0])
    with Display(jobs, STEPS, summarise, console) as display:
        for time, step in ((0.0, 1), (100.0, 50)):
            now[0] = time
            display.update(StepsDone(job, 1, step, {"encoder_loss": 2.0}))
    assert "images/s" not in shown.getvalue()
