"""The texture methods by name. See `METHODS`.

A method is a file beside this one, an entry here, and its settings in `config/textures/`.
"""

from train.textures import gotex, psgan, singan_training, texto
from train.textures.method import Method

METHODS: dict[str, Method] = {
    "texto": texto.METHOD,
    "gotex": gotex.METHOD,
    "sgan": psgan.METHOD,
    "psgan": psgan.METHOD,
    "singan": singan_training.METHOD,
}
