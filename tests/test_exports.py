"""Exported models and their model card."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import yaml
from PIL import Image

from evaluate.exchange.model_card import model_card
from evaluate.sheets import tile
from evaluate.trained_run import TrainedRun

ROOT = Path(__file__).parent.parent


def test_the_model_card_is_of_the_chosen_checkpoint(several):
    for choice, epoch, printed in (("best", 1, "step 2, best by FID"), ("last", 2, "step 4")):
        card = model_card(TrainedRun(several, choice))
        assert f"The weights are from epoch {epoch}, {printed}; the metrics" in card
        metadata = yaml.safe_load(card.split("---\n")[1])
        assert metadata == {
            "library_name": "keras",
            "pipeline_tag": "unconditional-image-generation",
            "tags": ["gan", "gan-inversion", "dlsgan"],
            "model-index": [
                {
                    "name": "tiny_normal_dls_dg_0",
                    "results": [
                        {
                            "task": {"type": "unconditional-image-generation"},
                            "dataset": {"type": "digits", "name": "digits", "split": "test"},
                            "metrics": [
                                {
                                    "type": "fid",
                                    "value": 10.0 + 2 * epoch,
                                    "name": "FID (digit-classifier features)",
                                },
                                {"type": "fake_psnr", "value": 20.0, "name": "fake PSNR"},
                            ],
                        }
                    ],
                }
            ],
        }
        row = next(line for line in card.splitlines() if line.startswith("| normal_dls_dg"))
        assert row.split(" | ")[1:6] == [str(epoch), "0.500", "", "", f"{10.0 + 2 * epoch}"]


def test_a_row_that_has_lost_its_step(several, tmp_path):
    path = shutil.copytree(several, tmp_path / "run")
    rows = (path / "metrics.jsonl").read_text().replace('"step":2', '"step":null')
    (path / "metrics.jsonl").write_text(rows)
    assert "Nothing was measured." in model_card(TrainedRun(path, "2"))
    assert "\n| normal_dls_dg | 2 | 0.500 |" in model_card(TrainedRun(path, "4"))


LOAD = """
import sys
import numpy as np
data = np.load("data.npz")
latents, images = data["latents"], data["images"]
{tensorflow_alone}
assert "models" not in sys.modules
saved = reconstructions
{keras}
assert models.__file__.startswith("{root}")
outputs = {{"saved_reconstructions": saved, "reconstructions": reconstructions}}
outputs["adversarial"] = keras.saving.load_model("discriminator.keras")(images)[0]
for name, generate in (("gradients", generator), ("saved_gradients", model.generate)):
    moved = tf.Variable(latents)
    with tf.GradientTape() as tape:
        outputs[name.replace("gradients", "images")] = generated = generate(moved)
    outputs[name] = tape.gradient(generated, moved)
np.savez("outputs.npz", **outputs)
"""


def test_exports_load_in_a_fresh_process(to_folder, trained):
    """The code that the model card shows, beside a clone of the project."""
    folder = to_folder("export")
    card = (folder / "README.md").read_text()
    for fact in (
        "8x8 images with 6 latent elements",
        "drawn from N(0, 1), with dynamic latent scale",
        "- mapper: mapper.h5, SHA-256 0123",
        "`digits`, resized",
        "The weights are from epoch 0, step 0; ",
        "Nothing was measured.",
        "![Generated images](samples.png)",
    ):
        assert fact in card
    samples = tile(trained.generate(trained.sample_latents(64, seed=0)))
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "samples.png")), samples)
    latents = trained.sample_latents(4, seed=5)
    images = trained.networks.generate(latents, trained.scale).numpy()
    np.savez(folder / "data.npz", latents=latents, images=images)
    use = re.search("## Use(.*?)## Data", card, re.DOTALL)[1].split("or, with TensorFlow alone")
    keras, tensorflow_alone = ("\n".join(re.findall("^    (.*)", part, re.M)) for part in use)
    (folder / "DLSGAN").symlink_to(ROOT)
    code = LOAD.format(keras=keras, tensorflow_alone=tensorflow_alone, root=folder / "DLSGAN")
    process = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "gradient" not in process.stderr
    outputs = np.load(folder / "outputs.npz")
    adversarial, recovered = trained.networks.discriminator(images)
    reconstructions = trained.networks.generate(recovered, trained.scale)
    moved = tf.Variable(latents)
    with tf.GradientTape() as tape:
        generated = trained.networks.generate(moved, trained.scale)
    gradients = tape.gradient(generated, moved)
    for name, expected in {
        "images": images,
        "saved_images": images,
        "reconstructions": reconstructions,
        "saved_reconstructions": reconstructions,
        "adversarial": adversarial,
        "gradients": gradients,
        "saved_gradients": gradients,
    }.items():
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
