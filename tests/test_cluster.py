"""TF_CONFIG: how it is read, and which processes do not answer."""

import json
import socket

import pytest

from config import Config, UserError
from evaluate.measuring import Measuring
from tests.conftest import TINY, make_job, merge
from train.experiment.jobs import require_divisible
from train.experiment.launch import run_jobs, share_out
from train.runtime.cluster import read_cluster

MULTI_WORKER = "multi_worker"
WORKERS = {"worker": ["host0:2222", "host1:2222"]}


def tf_config(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "addresses", "number"),
    [
        (WORKERS, "worker", 1, ["host0:2222", "host1:2222"], 1),
        (
            {"worker": ["b:1", "[::1]:2"], "chief": ["a:1"]},
            "chief",
            0,
            ["a:1", "b:1", "[::1]:2"],
            0,
        ),
        (
            {"worker": ["b:1", "[::1]:2"], "chief": ["a:1"]},
            "worker",
            1,
            ["a:1", "b:1", "[::1]:2"],
            2,
        ),
    ],
)
def test_the_chief_comes_first(monkeypatch, cluster, kind, index, addresses, number):
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster, kind, index))
    assert read_cluster(MULTI_WORKER) == (addresses, number)
    assert read_cluster(MULTI_WORKER).is_chief == (number == 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "takes the environment variable TF_CONFIG in each process, such as {"),
        ('{"cluster"', "TF_CONFIG: Invalid JSON"),
        ("[]", "TF_CONFIG: Input should be an object"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG: task: Field required; it is such as"),
        (tf_config({"worker": ["a"]}), r"cluster.worker.0: use HOST:PORT. Received: 'a'"),
        (tf_config({"worker": ["a:70000"]}), "use HOST:PORT. Received: 'a:70000'"),
        (tf_config({"worker": ["a:1"], "ps": ["b:1"]}), "cluster.ps: Extra inputs are not permit"),
        (tf_config({"worker": ["a:1", "a:1"]}), "each address may appear once"),
        (
            tf_config(WORKERS, index=2),
            "task is worker 2, but cluster has 2 workers, counted from 0",
        ),
        (tf_config(WORKERS, "chief"), "task is chief 0, but cluster has 0 chiefs, counted from 0"),
        (tf_config(WORKERS, "evaluator"), r"task.type: Input should be 'chief' or 'worker'"),
    ],
)
def test_errors_are_one_line(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message.replace("[", r"\[")) as raised:
        read_cluster(MULTI_WORKER)
    assert "\n" not in str(raised.value)


def test_tf_config_counts_with_multi_worker_only(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "nonsense")
    assert read_cluster(Config.model_validate(TINY).train.distribution).is_chief


def test_processes_that_do_not_answer_are_named(monkeypatch):
    with (
        socket.create_server(("127.0.0.1", 0)) as here,
        socket.create_server(("::1", 0), family=10) as there,
    ):
        addresses = [f"127.0.0.1:{here.getsockname()[1]}", f"[::1]:{there.getsockname()[1]}"]
        monkeypatch.setenv(
            "TF_CONFIG", tf_config({"worker": ["127.0.0.1:1", *addresses, "[::1]:1"]})
        )
        assert read_cluster(MULTI_WORKER).unreachable() == ["[::1]:1"]


def test_connecting_to_a_process_that_never_starts_ends_after_connect_seconds(
    monkeypatch, tmp_path
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        mine = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": [mine, "127.0.0.1:1"]}))
    changes = {"train.distribution": MULTI_WORKER, "train.connect_seconds": 1}
    config = Config.model_validate(merge(TINY, changes))
    job, cluster = make_job(config, tmp_path / "run"), read_cluster(MULTI_WORKER)
    with pytest.raises(UserError, match=r"no connection within 1 seconds .* to 127\.0\.0\.1:1$"):
        run_jobs([job], cluster, Measuring(tmp_path), lambda event: None, jobs_at_once=1)


def test_a_batch_that_does_not_divide_among_the_replicas_is_refused():
    config = Config.model_validate(TINY)
    require_divisible(config, 2)
    with pytest.raises(UserError, match="batch_size: 4 cannot be shared out equally among 3 repl"):
        require_divisible(config, 3)


def test_gpus_are_shared_out():
    assert share_out([], 2) == [[], []]
    assert share_out(["0", "1"], 1) == [["0", "1"]]
    assert share_out(["4", "5", "6"], 2) == [["4", "6"], ["5"]]
    assert share_out(["0", "1"], 3) == [["0"], ["1"], ["0"]]
