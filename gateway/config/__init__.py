"""A folder of YAML files → `model.Config`, or every problem in them at once.

The only room that needs PyYAML and pydantic: a process that is handed a `Config` imports neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.config.build import build
from gateway.config.build.context import Context
from gateway.config.problems import ConfigError, Problem
from gateway.config.schema import schema
from gateway.config.source.folder import read_folder
from gateway.config.validate import validate
from gateway.model import Config

__all__ = ["ConfigError", "Problem", "load", "schema"]


def load(folder: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """What the `*.yaml` and `*.yml` files in `folder` declare; `environ` is where `${NAME}` is looked up.

    Raises ConfigError with all that is wrong. Reads the files, and those that they name; touches nothing else.
    """
    problems: list[Problem] = []
    root = read_folder(folder, environ, problems.append)
    context = Context(root, problems)
    file = validate(root, problems.append)
    config = Config() if root.broken else build(file, context)
    if problems:
        raise ConfigError(problems)
    return config
