"""A folder that looks like the root of a machine."""

import os
from pathlib import Path

UNIT = "[Service]\nExecStart=/bin/web\n[Install]\nWantedBy=multi-user.target\n"
WANTS = "etc/systemd/system/multi-user.target.wants"


class Root:
    """Files are written with what leads to them."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, name: str, text: str = "") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(text))
        return path

    def link(self, name: str, target: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def unit(self, name: str = "web.service", folder: str = "etc/systemd/system", *, enabled: bool = True):
        self.write(f"{folder}/{name}", UNIT)
        if enabled:
            self.link(f"{WANTS}/{name}", f"/{folder}/{name}")

    def process(self, number: int, comm: str, cwd: str = "/", title: str = ""):
        self.write(f"proc/{number}/comm", f"{comm}\n")
        self.write(f"proc/{number}/cmdline", title or comm)
        self.link(f"proc/{number}/cwd", cwd)

    def tree(self) -> dict[str, tuple[str, str]]:
        """Everything in it: path → (kind and mode, content)."""
        return {str(path.relative_to(self.path)): _told(path) for path in sorted(self.path.rglob("*"))}


def _told(path: Path) -> tuple[str, str]:
    if path.is_symlink():
        return "link", str(path.readlink())
    mode = f"{path.stat().st_mode & 0o777:o}"
    return (f"folder {mode}", "") if path.is_dir() else (f"file {mode}", path.read_text())
