"""Counts the corpus by class at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        file, _, test = report.nodeid.partition("::")
        name, _, case = test.partition("[")
        if file.endswith("sso/saml/test_corpus.py") and ": " in case:
            counts[name.removeprefix("test_").replace("_", " "), case.partition(": ")[0]] += 1
    if counts:
        terminalreporter.section("SAML corpus")
        for (test, kind), number in counts.items():
            terminalreporter.write_line(f"{test}: {kind}: {number}")
        terminalreporter.write_line(f"in all: {sum(counts.values())}")
