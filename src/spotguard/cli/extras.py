"""What a command needs beside the plain installation, and how whoever lacks it gets it."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec

from spotguard.domain.errors import BadSetting

# As in pyproject.toml: what was installed before an extra was added does not know it by its own metadata.
EXTRAS = {
    "training": ("scikit-learn>=1.9", "skops>=0.16"),
    "wire": ("moto[ec2,server]==5.2.5",),
}


def require_extra(extra: str, module: str) -> None:
    """`BadSetting`, with the command that mends it, where a module of the extra is not installed."""
    if find_spec(module) is None:
        raise BadSetting(f"this needs the extra '{extra}': {install_command(extra)}")


def install_command(extra: str) -> str:
    """For this very Python, and by the names of what is missing: an index may hold a stranger's `spotguard`."""
    return shlex.join([sys.executable, "-m", "pip", "install", *EXTRAS[extra]])
