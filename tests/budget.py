"""The share of each file in the time of the tests, kept in bounds by `--budget PERCENT`."""

import collections
import itertools

import pytest


def pytest_addoption(parser):
    parser.addoption("--budget", metavar="PERCENT", type=float, help="fail if a file takes more")


def pytest_terminal_summary(terminalreporter, config):
    """Print how the time is shared out among the files of tests."""
    percent = config.getoption("budget")
    if percent is None:
        return
    shares = file_shares(terminalreporter.stats)
    terminalreporter.section(f"share of the time of all tests, at most {percent:g} %")
    for file, (seconds, share) in shares.items():
        remark = "  too much" if share > percent else ""
        terminalreporter.write_line(f"{share:5.1f} %  {seconds:6.1f} s  {file}{remark}")


def pytest_sessionfinish(session):
    """Fail if a file takes more than its share, see `--budget`."""
    percent = session.config.getoption("budget")
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if percent is not None and reporter is not None and not session.exitstatus:
        shares = file_shares(reporter.stats)
        if any(share > percent for _, share in shares.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def file_shares(stats):
    """{file: (seconds, percent of all)} of finished tests, the longest first."""
    seconds = collections.Counter()
    for report in itertools.chain(*stats.values()):
        if isinstance(report, pytest.TestReport):
            seconds[report.location[0]] += report.duration
    total = sum(seconds.values())
    return {file: (each, 100 * each / total) for file, each in seconds.most_common()}
