"""A copy of the package with a bug in it. The source itself is never touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import spotguard
from tests.planted.bug import Bug, edits_by_file, mutated

PACKAGE = Path(spotguard.__file__).parent
ROOT = Path(__file__).parents[2]


@contextmanager
def copy_with(bug: Bug) -> Iterator[Path]:
    """The folder to put first on PYTHONPATH. Compiled files are copied too: only what changed is compiled anew."""
    with TemporaryDirectory(prefix=f"planted-{bug.name}-") as folder:
        source = Path(folder)
        shutil.copytree(PACKAGE, source / "spotguard")
        for file, edits in edits_by_file(bug).items():
            target = source / "spotguard" / file
            target.write_text(mutated(target.read_text(), edits))
        yield source


def environment(source: Path | None) -> dict[str, str]:
    """Of a process that runs the package of `source`, or the unchanged one."""
    return os.environ | {"PYTHONPATH": str(source or PACKAGE.parent)}
