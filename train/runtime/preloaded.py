"""What a fork server imports, so that each process that it forks has TensorFlow at once.

It imports, and no more: a fork would not have the threads of anything that was computed before.
"""

from train.runtime.startup import import_libraries

import_libraries()
