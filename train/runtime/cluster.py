"""The processes of a multi_worker training, as TF_CONFIG lists them. See `read_cluster`."""

import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from config import UserError

_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_PROBE_SECONDS = 2.0


def _check_address(value: str) -> str:
    match = re.fullmatch(r"[^\s:/]+:(\d{1,5})|\[[0-9A-Fa-f:.]+\]:(\d{1,5})", value)
    if not match or not 0 < int(match[1] or match[2]) < 2**16:
        raise ValueError("use HOST:PORT")
    return value


Addresses = list[Annotated[str, AfterValidator(_check_address)]]


class _Addresses(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    chief: Annotated[Addresses, Field(max_length=1)] = []
    worker: Addresses = []


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _TFConfig(BaseModel):
    cluster: _Addresses
    task: _Task


class Cluster(NamedTuple):
    """Addresses (host:port) of all processes, the chief first, and which of them this one is."""

    addresses: list[str]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def is_alone(self) -> bool:
        """Whether this process trains without others."""
        return len(self.addresses) == 1

    def unreachable(self) -> list[str]:
        """The addresses of the other processes that do not answer now."""
        others = [x for index, x in enumerate(self.addresses) if index != self.index]
        with ThreadPoolExecutor(len(others) or 1) as pool:
            answers = list(pool.map(_answers, others))
        return [x for x, is_there in zip(others, answers, strict=True) if not is_there]


class ProcessLostError(Exception):
    """Another process of a multi_worker training ended or cannot be reached any more."""


ALONE = Cluster(["this process"], 0)


def read_cluster(distribution: str) -> Cluster:
    """The processes that train together for a `train.distribution`; `ALONE` unless multi_worker.

    The environment variable TF_CONFIG describes them. Raises UserError if it does not.
    """
    if distribution != "multi_worker":
        return ALONE
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(
            "train.distribution: multi_worker takes the environment variable TF_CONFIG in each "
            f"process, such as {_EXAMPLE}"
        )
    try:
        read = _TFConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        received = f". Received: {first['input']!r}" if key and first["type"] != "missing" else ""
        raise UserError(
            f"TF_CONFIG: {key + ': ' if key else ''}{message}{received}; it is such as {_EXAMPLE}"
        ) from error
    cluster, task = read.cluster, read.task
    addresses = cluster.chief + cluster.worker
    if len(set(addresses)) < len(addresses):
        raise UserError(f"TF_CONFIG: each address may appear once. Received: {addresses}")
    same_type = getattr(cluster, task.type)
    if task.index >= len(same_type):
        raise UserError(
            f"TF_CONFIG: task is {task.type} {task.index}, but cluster has {len(same_type)} "
            f"{task.type}s, counted from 0"
        )
    is_worker_after_chief = task.type == "worker" and cluster.chief
    return Cluster(addresses, task.index + (1 if is_worker_after_chief else 0))


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False
