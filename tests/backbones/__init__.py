"""Tests of each backbone against recorded numbers; tests/test_backbones_recorded.py runs them."""

from pathlib import Path

import pytest

for _file in Path(__file__).parent.glob("[a-z]*.py"):
    pytest.register_assert_rewrite(f"{__name__}.{_file.stem}")
