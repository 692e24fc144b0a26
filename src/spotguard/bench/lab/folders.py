"""Volumes as folders: what a volume holds is a folder, and an instance sees it only while it is attached."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """`cloud.simulated.content.VolumeContent`: a copy of a volume is a copy of its folder."""

    store: Store
    path: Path

    def fork(self) -> Folder:
        copy = self.store.blank()
        _copy(self.path, copy.path)
        return copy


class Store:
    """Where the folders of all volumes, snapshots and images lie."""

    def __init__(self, root: Path) -> None:
        self.root, self._numbers = root, count(1)
        root.mkdir()

    def blank(self) -> Folder:
        path = self.root / str(next(self._numbers))
        path.mkdir()
        return Folder(self, path)


def mount(link: Path, content: Folder | None) -> None:
    """`link` leads to the content's folder; to nothing when there is none."""
    wanted = None if content is None else str(content.path)
    present = str(link.readlink()) if link.is_symlink() else None
    if wanted == present:
        return
    if wanted is None:
        link.unlink(missing_ok=True)
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.rename(link)


def _copy(source: Path, target: Path) -> None:
    """As a disk is at one instant: what is replaced meanwhile is there in its old or its new form, or not yet."""
    for entry in os.scandir(source):
        try:
            if entry.is_dir(follow_symlinks=False):
                (target / entry.name).mkdir()
                _copy(Path(entry.path), target / entry.name)
            else:
                shutil.copy2(entry.path, target / entry.name, follow_symlinks=False)
        except FileNotFoundError:
            continue
