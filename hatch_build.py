"""A build option: the modules of pyproject's `hooks.custom` are compiled by mypyc, beside their sources in the wheel.

HATCH_BUILD_HOOK_ENABLE_CUSTOM=true turns it on; it needs a C compiler and Python's headers. Compiled or not, a module
does the same: there is one source.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            raise ValueError("an editable installation cannot be compiled: it would go on with old code")
        self._work = tempfile.TemporaryDirectory(prefix="compile-")
        for library in self._compile(Path(self._work.name)):
            build_data["force_include"][str(library)] = str(library.relative_to(f"{self._work.name}/lib"))
        build_data |= {"pure_python": False, "infer_tag": True}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._work.cleanup()

    def _compile(self, work: Path) -> list[Path]:
        import setuptools  # noqa: F401 - mypyc asks whether it is there
        from mypyc.build import mypycify
        from setuptools import Distribution

        # Types are checked by `scripts/check`, with all dependencies at hand, which a build need not have.
        options = ["--config-file=", f"--cache-dir={work}/types", "--ignore-missing-imports", "--follow-imports=silent"]
        extensions = mypycify(
            [*options, *self.config["modules"]], group_name="plangate", target_dir=f"{work}/c", debug_level="0"
        )
        command = Distribution({"name": "plangate", "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = f"{work}/lib", f"{work}/o"
        command.ensure_finalized()
        command.run()
        return sorted((work / "lib").rglob("*.so"))
