"""What the recorded tests of Progressive GAN and StyleGAN share: names, layouts, gradients."""

import re

import tensorflow as tf

from tests.backbones.recordings import dense_after_channels_first, read_recorded, with_prefix

_LAYER = re.compile(
    r"(?:(?P<size>\d+)_)?(?P<kind>constant|dense|adversarial|up|conv|down|to_rgb|from_rgb|bias)"
    r"(?:_(?P<part>noise|bias|style))?"
)
_KINDS = {"constant": "Const", "up": "Conv0_up", "down": "Conv1_down", "bias": "Dense"}
_PARTS = {"noise": ".Noise", "style": ".StyleMod"}
_WEIGHTS = {"kernel": "weight", "strength": "weight", "constant": "const"}


def read_in_our_layouts(pytestconfig, name):
    """As `read_recorded`, with weights and their gradients in our layouts."""
    arrays, config = read_recorded(pytestconfig, name)
    return {key: in_our_layout(key, array) for key, array in arrays.items()}, config


def in_our_layout(name, array):
    """A recorded weight or its gradient; other arrays stay as they are."""
    if not re.search(r"(^weights|grad_._loss)/", name):
        return array
    if name.endswith("Const.const") or re.search(r"noise\d$", name):
        return array.transpose(0, 2, 3, 1)
    if match := re.search(r"synthesis\.(\d+)x.*Conv0_up.weight", name):
        return upsampling_kernel(array, int(match[1]))
    if name.endswith("4x4.Dense0.weight"):
        return dense_after_channels_first(array)
    if name.endswith("4x4.Dense.weight"):  # its outputs are in (channel, row, column) order
        pixels = array.reshape(array.shape[0], -1, 4, 4)
        return pixels.transpose(0, 2, 3, 1).reshape(array.shape)
    return array


def upsampling_kernel(kernel, size):
    """StyleGAN's kernel of a convolution that doubles to `size`: it is flipped below 128 pixels."""
    return (kernel[::-1, ::-1] if size < 128 else kernel).swapaxes(2, 3)


def named_weights(networks):
    """{the authors' name: weight} of generator and discriminator, without the encoder's heads."""
    resolution = networks.image_shape[0]
    styled = "synthesis." if networks.mapper else ""
    names = {}
    for part, prefix in ((networks.synthesis, f"generator.{styled}"),
                         (networks.discriminator, "discriminator.")):  # fmt: skip
        for weight in part.weights:
            if not weight.path.startswith(("latent/", "lod/")):
                names[prefix + _recorded_name(weight.path, resolution, prefix)] = weight
    for weight in networks.mapper.weights if networks.mapper else ():
        name = weight.path.replace("dense_", "mapping.Dense").replace("/kernel", ".weight")
        name = name.replace("/", ".").replace("broadcast.mean_style", "dlatent_avg")
        names[f"generator.{name}"] = weight
    return names


def _recorded_name(path, resolution, prefix):
    """The authors' name of a weight: 8_up_style/style/kernel is 8x8.Conv0_up.StyleMod.weight."""
    layer, *_, weight = path.split("/")
    match = _LAYER.fullmatch(layer)
    size, kind, part = int(match["size"] or 4), match["kind"], match["part"]
    if kind.endswith("rgb"):
        lod = resolution.bit_length() - size.bit_length()
        theirs = f"{'ToRGB' if kind == 'to_rgb' else 'FromRGB'}_lod{lod}"
    elif kind == "conv":
        of_generator = prefix != "discriminator."
        theirs = f"{size}x{size}." + ("Conv" if size == 4 else f"Conv{int(of_generator)}")
    else:
        name = {"dense": "Dense" if match["size"] else "Dense0", "adversarial": "Dense1"}
        theirs = f"{size}x{size}." + (_KINDS | name)[kind]
    if (part, weight) == ("noise", "constant"):
        return f"noise{2 * size.bit_length() - 6 + (kind == 'conv')}"
    return f"{theirs}{_PARTS.get(part, '')}.{_WEIGHTS.get(weight, weight)}"


def judge(networks, images):
    """The adversarial values of images, and their gradient with respect to these."""
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        adversarial = networks.discriminate(images)[0]
    return adversarial, tape.gradient(adversarial, images)


def differentiate(networks, tape, loss, network):
    """{the authors' name: gradient} of a loss, for the trained weights of one network."""
    names = {
        name: weight
        for name, weight in named_weights(networks).items()
        if name.startswith(network) and weight.trainable
    }
    weights = [weight.value for weight in names.values()]
    gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    return dict(zip(names, gradients, strict=True))


def at_lod(arrays, lod):
    """What is recorded at a lod, by name."""
    return with_prefix(arrays, f"lod{lod}/")
