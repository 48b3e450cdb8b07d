"""TF_CONFIG, and what is said of the processes that it lists."""

import json
import socket

import pytest

from config import Config, UserError
from tests.conftest import TINY, merge
from train.cluster import read_cluster
from train.experiment import run_experiment, share_out
from train.job import Job, cluster_of, require_divisible

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
    assert read_cluster() == (addresses, number)
    assert read_cluster().is_chief == (number == 0)


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
        (tf_config(WORKERS, index=2), "task is worker 2, of which cluster has 2"),
        (tf_config(WORKERS, "chief"), "task is chief 0, of which cluster has 0"),
        (tf_config(WORKERS, "evaluator"), r"task.type: Input should be 'chief' or 'worker'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message.replace("[", r"\[")) as told:
        read_cluster()
    assert "\n" not in str(told.value)


def test_tf_config_counts_with_multi_worker_only(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "nonsense")
    assert cluster_of(Config.model_validate(TINY)).is_chief


def test_who_does_not_answer(monkeypatch):
    with (
        socket.create_server(("127.0.0.1", 0)) as here,
        socket.create_server(("::1", 0), family=10) as there,
    ):
        addresses = [f"127.0.0.1:{here.getsockname()[1]}", f"[::1]:{there.getsockname()[1]}"]
        monkeypatch.setenv(
            "TF_CONFIG", tf_config({"worker": ["127.0.0.1:1", *addresses, "[::1]:1"]})
        )
        assert read_cluster().unreachable() == ["[::1]:1"]


def test_a_peer_that_does_not_come_is_waited_for_so_long(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        mine = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": [mine, "127.0.0.1:1"]}))
    changes = {"train.distribution": "multi_worker", "train.connect_seconds": 1}
    config = Config.model_validate(merge(TINY, changes))
    job = Job("normal_dls_dg", 0, tmp_path / "run")
    with pytest.raises(UserError, match=r"no connection within 1 seconds .* to 127\.0\.0\.1:1$"):
        run_experiment(config, [job], tmp_path, 1, lambda report: None)


def test_a_batch_that_cannot_be_shared_out():
    config = Config.model_validate(TINY)
    require_divisible(config, 2)
    with pytest.raises(UserError, match="batch_size: 4 cannot be shared out equally among 3 repl"):
        require_divisible(config, 3)


def test_gpus_are_shared_out():
    assert share_out([], 2) == [[], []]
    assert share_out(["0", "1"], 1) == [["0", "1"]]
    assert share_out(["4", "5", "6"], 2) == [["4", "6"], ["5"]]
    assert share_out(["0", "1"], 3) == [["0"], ["1"], ["0"]]
