"""What a fork server imports, so that each process that it forks has TensorFlow at once.

It imports, and no more: a fork would not have the threads of anything that was computed before.
A SIGTERM to all processes, as batch systems send it, does not end the server: without it nobody
could wait for jobs that save a checkpoint.
"""

import os
import signal

from train.runtime.startup import import_libraries

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
import_libraries()
