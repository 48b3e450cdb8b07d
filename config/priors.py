"""The priors of the latent z: both have mean 0 and variance 1 (paper, section 4.1)."""

import math

PRIORS = ("normal", "uniform")
UNIFORM_LIMIT = math.sqrt(3.0)  # U(-sqrt 3, sqrt 3) has variance 1

# The differential entropy of one element times s is log(s * factor), in nats.
ENTROPY_FACTORS = {
    "normal": math.sqrt(2.0 * math.pi * math.e),
    "uniform": 2.0 * UNIFORM_LIMIT,
}
