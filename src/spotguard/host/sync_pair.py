"""What rsync over ssh needs between the instances of one workload: a key of its own that opens the inbox and nothing
else, and a host key that is known beforehand. Made once, put into the image, the same on all of them.

A server of its own (`sshd_config`) leaves the machine's sshd and cloud-init's handling of host keys alone.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spotguard.domain.errors import BadSetting

HOST = "spotguard-sync"  # the name under which every instance's host key is known
KEYS = ("key", "host_key")
SSH_CONFIG = "ssh_config"
UNIT = "spotguard-sync.service"


@dataclass(frozen=True)
class Pair:
    """`folder` and `inbox` as they will be on the instances; `user` owns the inbox there."""

    folder: Path
    inbox: Path
    port: int
    user: str = "root"


def planned(pair: Pair) -> dict[Path, bool]:
    """What `make` would write; True: it is there, and stays. `BadSetting` for what is wrong or missing here."""
    _require_sound(pair)
    names = (*KEYS, "known_hosts", "authorized_keys", SSH_CONFIG, "sshd_config", UNIT)
    return {pair.folder / name: name in KEYS and (pair.folder / name).exists() for name in names}


def _require_sound(pair: Pair) -> tuple[str, str, str]:
    """The programs (ssh-keygen, rrsync, sshd)."""
    for place in (pair.folder, pair.inbox):
        if not place.is_absolute():
            raise BadSetting(f"{str(place)!r}: a path on every instance of the workload begins with /")
    for name in (str(pair.folder), str(pair.inbox), pair.user):
        if any(character in name for character in '"\n\\%') or name.split() != [name]:
            raise BadSetting(f"{name!r}: ssh's settings take no spaces, quotes, backslashes or percent signs")
    return _program("ssh-keygen"), _program("rrsync"), _program("sshd")


def make(pair: Pair) -> list[Path]:
    """Write the folder. Keys that are there stay; the rest is written anew. `BadSetting` for what is missing here."""
    keygen, rrsync, server = _require_sound(pair)
    pair.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in KEYS:
        if not (pair.folder / name).exists():
            _generate(keygen, pair.folder / name)
    texts = {
        "known_hosts": f"{HOST} {_public(pair.folder / 'host_key')}\n",
        "authorized_keys": _door(pair, rrsync),
        SSH_CONFIG: _ssh_config(pair),
        "sshd_config": _sshd_config(pair),
        UNIT: _unit(pair, server),
    }
    for name, text in texts.items():
        (pair.folder / name).write_text(text)
    return [pair.folder / name for name in (*KEYS, *texts)]


def settings_of(pair: Pair) -> str:
    """The lines for agent.toml."""
    return (
        f'inbox_path = "{pair.inbox}"\n'
        f'sync_destination = "{pair.user}@{{address}}:/"\n'
        f'sync_ssh_config = "{pair.folder / SSH_CONFIG}"\n'
    )


def _generate(keygen: str, path: Path) -> None:
    made = subprocess.run(
        [keygen, "-q", "-t", "ed25519", "-N", "", "-C", HOST, "-f", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        raise BadSetting(f"ssh-keygen: {made.stderr.decode(errors='replace').strip()[-200:]}")


def _public(key: Path) -> str:
    return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])


def _door(pair: Pair, rrsync: str) -> str:
    """Writing into the inbox by rsync is all that the key can do: no shell, no reading, no forwarding.

    Without a lock: a note may arrive during a pass, and what a dead link has left behind ends only with its timeout.
    """
    command = shlex.join([rrsync, "-wo", "-no-lock", str(pair.inbox)])
    return f'command="{command}",restrict {_public(pair.folder / "key")}\n'


def _ssh_config(pair: Pair) -> str:
    return f"""Host *
  Port {pair.port}
  IdentityFile {pair.folder / "key"}
  IdentitiesOnly yes
  UserKnownHostsFile {pair.folder / "known_hosts"}
  GlobalKnownHostsFile none
  HostKeyAlias {HOST}
  HostKeyAlgorithms ssh-ed25519
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 5
  ServerAliveInterval 5
  ServerAliveCountMax 3
"""


def _sshd_config(pair: Pair) -> str:
    return f"""Port {pair.port}
HostKey {pair.folder / "host_key"}
AuthorizedKeysFile {pair.folder / "authorized_keys"}
AllowUsers {pair.user}
PermitRootLogin forced-commands-only
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitUserRC no
PidFile none
ClientAliveInterval 5
ClientAliveCountMax 3
"""


def _unit(pair: Pair, server: str) -> str:
    """What arrived below the mount point, before the inbox's volume was mounted, would be hidden from then on."""
    return f"""[Unit]
Description=SpotGuard: the door through which a standby's state arrives
After=network.target
RequiresMountsFor={pair.inbox}

[Service]
ExecStartPre=/bin/mkdir -p /run/sshd {pair.inbox}
ExecStart={server} -D -e -f {pair.folder / "sshd_config"}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def _program(name: str) -> str:
    """Where it is here, and so in the image that is made of this machine."""
    path = os.environ.get("PATH", os.defpath)
    found = shutil.which(name, path=os.pathsep.join([path, "/usr/sbin", "/sbin"]))
    if found is None:
        package = (
            "openssh-server" if name == "sshd" else "openssh-client" if name == "ssh-keygen" else "rsync"
        )
        raise BadSetting(f"{name} is not installed here: install {package}")
    return found
