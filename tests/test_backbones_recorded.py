"""All backbones against numbers recorded from their authors' code, see tests/backbones/.

`--recorded DIR` takes other recordings of the same form.
"""

from tests.backbones.dcgan import *  # noqa: F403
from tests.backbones.progressive_gan import *  # noqa: F403
from tests.backbones.stylegan import *  # noqa: F403
from tests.backbones.stylegan2 import *  # noqa: F403
from tests.backbones.stylegan3 import *  # noqa: F403
