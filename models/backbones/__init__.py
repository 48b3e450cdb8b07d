"""The kinds of networks, by the names that `model.backbone` has for them."""

from models.backbones import (
    dcgan,
    dlsgan,
    dlsgan_later,
    progressive_gan,
    stylegan,
    stylegan2,
    stylegan3,
)

BUILDERS = {
    "dcgan": dcgan.build_networks,
    "dlsgan": dlsgan.build_networks,
    "dlsgan_later": dlsgan_later.build_networks,
    "progressive_gan": progressive_gan.build_networks,
    "stylegan": stylegan.build_networks,
    "stylegan2": stylegan2.build_networks,
    "stylegan3_r": stylegan3.build_networks,
    "stylegan3_t": stylegan3.build_networks,
}
