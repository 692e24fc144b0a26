"""What enrolling a machine changes on it, decided on paper: files, folders, links, in an order that can stop anywhere.

A receipt is written before anything else is touched. It names what was made, what was set aside and which links were
taken away, so that uninstalling after any crash leaves the machine as it was found. Who starts the workload at boot is
never nobody: the agent's link comes before the workload's goes, and goes after that has come back.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spotguard.domain.errors import InvalidInput, Refused
from spotguard.planning.agent_files import CONFIG, CONFIG_FOLDER, KEPT, TOKEN, Wish, agent_toml, agent_unit
from spotguard.planning.machine_changes import (
    AGENT_UNIT,
    Action,
    BringBack,
    Link,
    MakeFolder,
    MakeLink,
    Reload,
    RemoveFile,
    RemoveFolder,
    RemoveTree,
    SetAside,
    StartAgent,
    StopAgent,
    TakeLinkAway,
    WriteFile,
)

RECEIPT = f"{CONFIG_FOLDER}/installed.json"
STATE_FOLDER = "/var/lib/spotguard"
INBOX = "/var/lib/spotguard-inbox"
UNIT_FILE = f"/etc/systemd/system/{AGENT_UNIT}"
WANTS = "/etc/systemd/system/multi-user.target.wants"
FILES = (CONFIG, UNIT_FILE, TOKEN)
PRIVATE, OPEN = 0o600, 0o644


@dataclass(frozen=True)
class Receipt:
    """What was changed. Paths are absolute within the root."""

    unit: str
    files: tuple[str, ...]
    aside: tuple[str, ...]  # of these, the ones that stood there before: now under the name with ASIDE
    folders: tuple[str, ...]  # made, outermost first
    scratch: tuple[str, ...]  # the agent's own folders, which were not there
    links: tuple[Link, ...]  # that started the user's unit at boot

    def to_json(self) -> str:
        told = {**vars(self), "links": [vars(link) for link in self.links]}
        return json.dumps(told, indent=1) + "\n"


def receipt_of(text: str) -> Receipt:
    """`InvalidInput` for what is no receipt: nothing may be undone by guesses."""
    try:
        told = json.loads(text)
        links = tuple(Link(one["path"], one["target"]) for one in told["links"])
        lists = {name: tuple(map(str, told[name])) for name in ("files", "aside", "folders", "scratch")}
        return Receipt(unit=str(told["unit"]), links=links, **lists)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{RECEIPT} does not read: {error!r}") from error


@dataclass(frozen=True)
class Standing:
    """What stands on the machine. `files`: content and mode by path, of those that are there. `aside`: what has been
    set aside by now.

    `folders`: of those that were asked about, the ones that are there. `links`: what starts the user's unit at boot.
    """

    files: Mapping[str, tuple[str, int]]
    aside: frozenset[str]
    folders: frozenset[str]
    links: tuple[Link, ...]
    agent_link: bool
    agent_runs: bool | None  # None: no service manager runs under this root
    receipt: Receipt | None


AGENT_LINK = Link(f"{WANTS}/{AGENT_UNIT}", UNIT_FILE)
FOLDERS = (CONFIG_FOLDER, WANTS, STATE_FOLDER, INBOX)
_MODES = {CONFIG_FOLDER: 0o755, WANTS: 0o755, STATE_FOLDER: 0o700}


def wanted_files(wish: Wish, known: Receipt | None, settings: str) -> dict[str, tuple[str, int]]:
    """Every file of ours but the receipt. A token that was written once stays when no other is given.

    `settings`: those that stand there now; what their owner has added to ours stays too.
    """
    has_token = wish.token is not None or (known is not None and TOKEN in known.files)
    told = agent_toml(wish, has_token=has_token) + settings.partition(KEPT)[2]
    files = {CONFIG: (told, PRIVATE), UNIT_FILE: (agent_unit(wish), OPEN)}
    if wish.token is not None:
        files[TOKEN] = (f"{wish.token}\n", PRIVATE)
    return files


def plan_install(wish: Wish, now: Standing) -> tuple[Action, ...]:
    """Empty when everything stands as wished. `Refused` when another workload is installed here, or under another
    name.
    """
    known = now.receipt
    if known is not None and known.unit != wish.unit:
        raise Refused(
            f"installed for {known.unit or 'a workload of commands'} already: spotguard agent uninstall first"
        )
    settings = now.files.get(CONFIG, ("", 0))[0]
    name = _name_in(settings)
    if known is not None and name not in (None, wish.logical_agent_id):
        raise Refused(
            f"installed under the name {name} already, which is its identity at the server: "
            "spotguard agent uninstall first"
        )
    files = wanted_files(wish, known, settings)
    receipt = _receipt(wish, now, files)
    changes = [
        *_write_all(files, now),
        *([] if now.agent_link else [MakeLink(AGENT_LINK)]),
        *(TakeLinkAway(link) for link in now.links),
    ]
    if not changes and receipt == known:
        return (Reload(), StartAgent()) if now.agent_runs is False else ()
    return (
        *(MakeFolder(path, _MODES[path]) for path in _MODES if path not in now.folders),
        WriteFile(RECEIPT, PRIVATE, receipt.to_json()),
        *(SetAside(path) for path in receipt.aside if path not in now.aside),
        *changes,
        *(() if now.agent_runs is None else (Reload(), StartAgent())),
    )


def _name_in(settings: str) -> object:
    """The agent's name in our part of its settings; None when it says none."""
    return _told_in(settings.partition(KEPT)[0]).get("logical_agent_id")


def state_folder_in(settings: str) -> str:
    """Where the agent writes: its owner may have named another folder than the usual one."""
    return str(_told_in(settings).get("state_folder", STATE_FOLDER))


def _told_in(settings: str) -> dict[str, object]:
    try:
        return tomllib.loads(settings)
    except tomllib.TOMLDecodeError:  # its owner's hand: it is written anew
        return {}


def _write_all(files: Mapping[str, tuple[str, int]], now: Standing) -> Iterator[Action]:
    for path, (content, mode) in files.items():
        if now.files.get(path) != (content, mode):
            yield WriteFile(path, mode, content)


def _receipt(wish: Wish, now: Standing, files: Mapping[str, tuple[str, int]]) -> Receipt:
    """The first one's word holds for what stood here before; later ones add what they make."""
    known = now.receipt
    if known is None:
        return Receipt(
            unit=wish.unit,
            files=tuple(files),
            aside=tuple(path for path in files if path in now.files),
            folders=tuple(path for path in (CONFIG_FOLDER, WANTS) if path not in now.folders),
            scratch=tuple(
                path for path in (STATE_FOLDER, INBOX) if path == STATE_FOLDER or path not in now.folders
            ),
            links=now.links,
        )
    return Receipt(
        unit=known.unit,
        files=tuple(dict.fromkeys((*known.files, *files))),
        aside=known.aside,
        folders=known.folders,
        scratch=known.scratch,
        links=tuple(dict.fromkeys((*known.links, *now.links))),
    )


def plan_uninstall(receipt: Receipt, *, keep_journal: bool, managed: bool) -> tuple[Action, ...]:
    """Every step may be repeated; the receipt goes last of the files. `managed`: a service manager runs here."""
    return (
        *([StopAgent()] if managed else []),
        *(MakeLink(link) for link in receipt.links),
        RemoveFile(AGENT_LINK.path),
        *(BringBack(path) if path in receipt.aside else RemoveFile(path) for path in receipt.files),
        *(RemoveTree(path) for path in receipt.scratch if not keep_journal),
        RemoveFile(RECEIPT),
        *(RemoveFolder(path) for path in reversed(receipt.folders)),
        *([Reload()] if managed else []),
    )
