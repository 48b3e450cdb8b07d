"""How the sheets of images are laid out, for those who draw them and those who show them."""

from config.priors import UNIFORM_LIMIT

COLUMNS = 8
GAP = 2  # pixels between tiles
INTERPOLATED_ELEMENTS = 8
INTERPOLATION_LIMIT = {"normal": 2.0, "uniform": UNIFORM_LIMIT}
