"""The training methods, by the names that `train.method` has for them. See `make_trainer`.

The paper's, `dlsgan`, is `train.step.Trainer`; the others derive from it.
"""

from config import Config, resolve_run
from train.methods.ali import Ali
from train.methods.bigan import BiGan
from train.methods.infogan import InfoGan
from train.methods.post_hoc_encoder import PostHocEncoder
from train.step import Trainer

METHODS: dict[str, type[Trainer]] = {
    "dlsgan": Trainer,
    "post_hoc_encoder": PostHocEncoder,
    "bigan": BiGan,
    "ali": Ali,
    "infogan": InfoGan,
}


def make_trainer(config: Config, run: str | None, seed: int = 0) -> Trainer:
    """The trainer of a run, with its method. Takes and raises what `Trainer` does."""
    if run is not None:
        config = resolve_run(config, run)
    return METHODS[config.train.method](config, None, seed)
