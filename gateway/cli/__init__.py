"""The `gateway` command, one file per group of verbs. Exit codes: 0, 1 invalid or failed, 2 usage."""

from gateway.cli.command import main

__all__ = ["main"]
