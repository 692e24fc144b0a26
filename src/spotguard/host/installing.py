"""Enrols a machine and undoes it: `planning.installation` carried out under a root.

Every file is whole under its name or not there, and of its mode from the first byte on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.boot_links import own_links, put_back, take_away
from spotguard.planning import installation as plan
from spotguard.planning import machine_changes as change
from spotguard.planning.agent_files import CONFIG, Wish
from spotguard.planning.installation import Receipt, Standing
from spotguard.planning.machine_changes import Action
from spotguard.ports.units import Units


class Installer:
    """Works on what lies under `root`; `units` is the service manager there, None if none runs."""

    def __init__(self, root: Path, units: Units | None) -> None:
        self._root, self._units = root, units

    def plan(self, wish: Wish) -> tuple[Action, ...]:
        """What installing would do now. Nothing is changed."""
        return plan.plan_install(wish, self._standing(wish))

    def settings(self, wish: Wish) -> str:
        """The agent's settings as they would stand there, with what their owner has added. `InvalidInput`."""
        standing = _file(self._at(CONFIG))
        known = "" if standing is None else standing[0]
        return plan.wanted_files(wish, self.receipt(), known)[CONFIG][0]

    def plan_removal(self, *, keep_journal: bool = False) -> tuple[Action, ...]:
        """What uninstalling would do now; empty when nothing is installed here."""
        receipt = self.receipt()
        if receipt is None:
            return ()
        return plan.plan_uninstall(receipt, keep_journal=keep_journal, managed=self._units is not None)

    def receipt(self) -> Receipt | None:
        path = self._at(plan.RECEIPT)
        return plan.receipt_of(path.read_text()) if path.is_file() else None

    def carry_out(self, actions: Sequence[Action]) -> None:
        """In their order. `OSError`, `GateFailed`: it stopped there, and may be repeated or undone."""
        for action in actions:
            self._do(action)

    def _standing(self, wish: Wish) -> Standing:
        files = {path: _file(self._at(path)) for path in plan.FILES}
        return Standing(
            files={path: found for path, found in files.items() if found is not None},
            aside=frozenset(path for path in plan.FILES if _file(self._at(path + change.ASIDE)) is not None),
            folders=frozenset(path for path in plan.FOLDERS if self._at(path).is_dir()),
            links=own_links(self._root, wish.unit) if wish.unit else (),
            agent_link=self._at(plan.AGENT_LINK.path).is_symlink(),
            agent_runs=None if self._units is None else self._units.runs(change.AGENT_UNIT),
            receipt=self.receipt(),
        )

    def _do(self, action: Action) -> None:  # noqa: C901 - one line for each kind
        match action:
            case change.MakeFolder(path, mode):
                self._at(path).mkdir(mode=mode, parents=True, exist_ok=True)
            case change.SetAside(path):
                _rename(self._at(path), self._at(path + change.ASIDE))
            case change.WriteFile(path, mode, content):
                _write(self._at(path), mode, content)
            case change.TakeLinkAway(link):
                take_away(self._root, link)
            case change.MakeLink(link):
                put_back(self._root, link)
            case change.RemoveFile(path):
                self._at(path).unlink(missing_ok=True)
            case change.BringBack(path):
                _rename(self._at(path + change.ASIDE), self._at(path))
            case change.RemoveTree(path):
                _remove_tree(self._at(path))
            case change.RemoveFolder(path):
                _remove_if_empty(self._at(path))
            case change.Reload() | change.StartAgent() | change.StopAgent():
                if self._units is not None:
                    _manage(self._units, action)

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def _file(path: Path) -> tuple[str, int] | None:
    """Content and mode; None when there is none. A link there is not ours either."""
    if path.is_symlink():
        return f"-> {path.readlink()}", 0o777
    if not path.exists():
        return None
    return path.read_text(errors="replace"), path.stat().st_mode & 0o7777


def _rename(source: Path, goal: Path) -> None:
    """What was renamed already is left."""
    if source.is_symlink() or source.exists():
        source.rename(goal)


def _write(path: Path, mode: int, content: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
        os.fchmod(handle, mode)
        file.flush()
        os.fsync(handle)
    fresh.replace(path)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _remove_if_empty(path: Path) -> None:
    if path.is_dir() and next(path.iterdir(), None) is None:
        path.rmdir()


def _manage(units: Units, action: change.Reload | change.StartAgent | change.StopAgent) -> None:
    match action:
        case change.Reload():
            units.reload()
        case change.StartAgent():
            units.start(change.AGENT_UNIT)
        case change.StopAgent():
            units.stop(change.AGENT_UNIT)
            if units.runs(change.AGENT_UNIT):
                raise GateFailed(f"{change.AGENT_UNIT} was stopped and still runs")
