"""Puts the dashboard into the wheel, and into the tree of an editable install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Dashboard(BuildHookInterface[Any]):
    """`[tool.hatch.build.targets.wheel.hooks.custom]`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Nothing is built anew when the inputs are those of the last build (web/build.py)."""
        subprocess.run([sys.executable, str(Path(self.root) / "web/build.py")], check=True)
