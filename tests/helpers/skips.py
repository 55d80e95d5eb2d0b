"""Skipped tests: each is named with its reason, and in CI only those that the machine cannot run may be among them."""

import os
import re

import pytest

from tests.helpers.paths import SHARED

MACHINE = re.compile(r"\b(GPU|CUDA|cgroup)\b")  # what no installation brings: a device, a kernel's version of cgroups


def skips(config: pytest.Config) -> list[tuple[str, str]]:
    """Return (test or file, reason) of what was skipped so far; nothing in a worker of pytest-xdist."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return sorted({(report.nodeid, report.longrepr[2].removeprefix("Skipped: ")) for report in reports})


def forbidden(config: pytest.Config) -> list[tuple[str, str]]:
    """Return the skips that fail the run: with CI=true, and ../shared there, those for any reason but MACHINE."""
    if os.environ.get("CI", "false") == "false" or not SHARED.is_dir():
        return []
    return [(test, reason) for test, reason in skips(config) if not MACHINE.search(reason)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for forbidden skips."""
    if session.exitstatus == pytest.ExitCode.OK and forbidden(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name every skipped test; pytest's own -rs counts those of one reason together."""
    wrong = forbidden(config)
    for title, found in (("skipped", skips(config)), ("must not be skipped in CI", wrong)):
        if found:
            terminalreporter.section(title)
            for test, reason in found:
                terminalreporter.line(f"{test}: {reason}")
