"""How this instance's rsync reaches the inbox of another: one way for passes of the state and for small notes."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spotguard.domain.errors import SyncFailed
from spotguard.host.killing import has_ended, how_it_ended
from spotguard.host.sheet import content_of, sheet
from spotguard.ports.workload import SyncTarget

STALLED_SECONDS = 20  # nothing moved for so long: rsync ends, and the pass is tried anew
KEPT_CHARACTERS = 200  # of what a failing rsync said


class RsyncFailed(SyncFailed):
    """`code`: what rsync ended with."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"rsync: exit {code}: {said}")
        self.code = code


@dataclass(frozen=True)
class RsyncTransport:
    """`destination` says where a target's inbox is, as rsync spells it, with `{address}` and `{instance_id}` in it:
    `root@{address}:/var/lib/spotguard-inbox`.

    `ssh_config`: the file that names key, pinned host key and port (`spotguard agent sync-keys` makes one);
    None: ssh's own settings.
    """

    destination: str
    ssh_config: Path | None = None
    program: tuple[str, ...] = ("rsync",)

    def inbox(self, target: SyncTarget) -> str:
        """The target's inbox, for rsync's last argument; a folder follows with its slash."""
        return self.destination.format(address=target.address, instance_id=target.instance_id).rstrip("/")

    def inner(self, target: SyncTarget) -> str:
        """The same as the target itself knows it, for what names another folder there (`--link-dest`)."""
        inbox = self.inbox(target)
        if inbox.startswith("rsync://"):
            return _below_module(inbox.removeprefix("rsync://").partition("/")[2])
        host, colon, path = inbox.partition(":")
        if not colon or "/" in host:
            return inbox
        return _below_module(path[1:]) if path.startswith(":") else path

    def start(
        self, arguments: Sequence[str], said_to: IO[bytes], told_to: IO[bytes] | int, given: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Begin a run of rsync; it ends by itself when its link is dead. `OSError` when there is no rsync.

        `said_to` takes its complaints, `told_to` what it prints. `given`: its standard input.
        """
        return subprocess.Popen(
            [*self.program, *self._always(), *arguments],
            stdin=given,
            stdout=told_to,
            stderr=said_to,
        )

    def run(self, arguments: Sequence[str], given: IO[bytes], seconds: float) -> None:
        """A short run to its end. `SyncFailed` when it failed or did not end in time."""
        with sheet() as said:
            try:
                process = self.start(arguments, said, subprocess.DEVNULL, given)
            except OSError as error:
                raise SyncFailed(str(error)) from error
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired as error:
                process.kill()
                because = how_it_ended(ended=has_ended(process))
                raise SyncFailed(f"rsync: no end within {seconds:g} s{because}") from error
            if code != 0:
                raise failed(code, content_of(said))

    def _always(self) -> list[str]:
        rsh = [] if self.ssh_config is None else [f"--rsh=ssh -F {shlex.quote(str(self.ssh_config))}"]
        return [f"--timeout={STALLED_SECONDS}", *rsh]


def _below_module(path: str) -> str:
    return "".join(path.partition("/")[1:])


def laid_at(place: str, *options: str) -> list[str]:
    """The arguments of a run that lays the file which is given to it at `place`, its name there included; in a
    folder, which ends with a slash, its name is `0`.
    """
    return ["--mkpath", "--copy-links", *options, "/proc/self/fd/0", place]


def names_kept_in(folder: str) -> list[str]:
    """The arguments of a run after which what was laid into `folder` with `--fsync` is there under its name. rsync
    syncs a file before it renames it, and a file system writes names down with the next file that is synced. That one
    has the name `0`: over rrsync 3.5.0 a file that is there can be replaced only by the name that it has here.
    """
    return laid_at(f"{folder}/", "--fsync", "--ignore-times")


def failed(code: int, said: bytes) -> RsyncFailed:
    """What a run that ended with `code` said."""
    return RsyncFailed(code, said.decode(errors="replace").strip()[-KEPT_CHARACTERS:])
