"""What a process does first, whatever the user chose for other programs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "main.py"


def run_python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "start",
    [
        "from train.runtime.startup import import_tensorflow\nimport_tensorflow()\n",
        "import sys, types\n"  # the classifier's process, with nothing to train
        "nothing = types.SimpleNamespace(train_and_save=lambda path: None)\n"
        "sys.modules['evaluate.features.digit_classifier'] = nothing\n"
        "from evaluate.features.classifier_file import _train_here\n_train_here('')\n",
    ],
)
def test_settings_for_other_programs_do_not_count(tmp_path, start):
    settings = {"floatx": "float64", "image_data_format": "channels_first", "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings | {"epsilon": 1e-7}))
    code = start + (
        "import keras, matplotlib\n"
        "layer = keras.layers.Conv2D(1, 1)\n"
        "print(keras.config.backend(), layer.compute_dtype, layer.data_format)\n"
        "print(matplotlib.get_backend())\n"
    )
    chosen = {"KERAS_HOME": tmp_path, "KERAS_BACKEND": "torch", "MPLBACKEND": "nonsense"}
    result = run_python("-c", code, **chosen)
    assert (result.stderr, result.stdout) == ("", "tensorflow float32 channels_last\nagg\n")


def test_figures_are_drawn_without_tensorflow():
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"  # importing them is an error
        "import main\n"
        "print(main.with_matplotlib().figures.__name__)\n"
        "import matplotlib\n"
        "print(matplotlib.get_backend())\n"
    )
    result = run_python("-c", code, MPLBACKEND="nonsense")
    assert (result.stderr, result.stdout) == ("", "figures\nagg\n")


@pytest.mark.parametrize("number", [1, 2])
def test_a_closed_stream_is_not_the_next_file(number, tmp_path):
    code = (
        "import os, sys\n"
        "from evaluate.report.terminal import print_any_character, replace_closed_streams\n"
        "replace_closed_streams()\n"
        "print_any_character()\n"
        "file = open(sys.argv[1], 'w')\n"
        "print('out')\n"
        "print('error', file=sys.stderr)\n"
        "os.write(1, b'native out')\n"
        "os.write(2, b'native error')\n"
        "file.write('content')\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "file.txt"]
    closing = {"preexec_fn": lambda: os.close(number)}
    subprocess.run(command, cwd=ROOT, check=True, **closing)
    assert (tmp_path / "file.txt").read_text() == "content"


def test_a_wrong_command_has_its_exit_code_though_nobody_reads():
    for closed in (">&-", "2>&-", ">&- 2>&- <&-"):
        line = f"{sys.executable} {MAIN} trian {closed}"
        result = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("error: no such command") == (closed == ">&-")
        assert result.stderr.count("\n") == (closed == ">&-")


def test_ctrl_c_while_modules_are_imported_shows_no_traceback(tmp_path):
    (tmp_path / "typer.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"  # in place of the library
    )
    result = run_python(MAIN, "--help", PYTHONPATH=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")
