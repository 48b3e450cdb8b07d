"""The styles of a trained run, truncated or mixed. See `Styles`."""

import numpy as np

from config import UserError
from evaluate.sheets import tile
from evaluate.trained_run import TrainedRun
from models.backbones.styles import truncate


class Styles:
    """From latents to styles w, one for each layer, and from styles to images.

    Latents (n, d_z) are unscaled, styles are (n, num_ws, d_w), images (n, height, width, 3) in
    [-1, 1]: NumPy arrays. Raises UserError for a run whose backbone has no such styles.
    """

    def __init__(self, trained: TrainedRun) -> None:
        model = trained.config.model
        if not model.has_styles:
            raise UserError(
                f"{trained.folder.path}: takes a backbone with a style for each layer, stylegan, "
                f"stylegan2, stylegan3_t or stylegan3_r. Received: {model.backbone}"
            )
        self.trained, self.networks = trained, trained.networks
        self.layers = self.networks.mapper.output_shape[1]  # num_ws

    def from_latents(self, latents: np.ndarray) -> np.ndarray:
        return self.trained.in_batches(self.networks.styles, latents * self.trained.scale)

    def generate(self, styles: np.ndarray) -> np.ndarray:
        """Raises UserError where the images are not finite."""
        images = self.trained.in_batches(self.networks.generate_from_styles, styles)
        return np.clip(self.trained.require_finite(images, "images of such styles"), -1.0, 1.0)

    def generate_truncated(self, latents: np.ndarray, psi: float) -> np.ndarray:
        """Images of styles that are pulled to their mean in training: 1 does nothing, 0 all."""
        styles = truncate(self.from_latents(latents), self.networks.mean_style, psi)
        return self.generate(np.asarray(styles))

    def draw_mixes(
        self, row_latents: np.ndarray, column_latents: np.ndarray, layers: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(sheet, mixed images) of latents (rows, d_z) and (columns, d_z).

        An image has the row's styles, but in `layers` the column's. The sheet has the columns' own
        images above, and the rows' to the left (Karras et al. 2019, figure 3).
        """
        rows, columns = self.from_latents(row_latents), self.from_latents(column_latents)
        own_rows, own_columns = self.generate(rows), self.generate(columns)
        lines = [np.concatenate([np.ones_like(own_columns[:1]), own_columns])]
        mixed = []
        for row, own in zip(rows, own_rows, strict=True):
            styles = np.repeat(row[None], len(columns), axis=0)
            styles[:, layers] = columns[:, layers]
            mixes = self.generate(styles)
            lines.append(np.concatenate([own[None], mixes]))
            mixed.append(mixes)
        return tile(np.concatenate(lines), columns=len(columns) + 1), np.concatenate(mixed)
