"""`spotguard agent sync-keys`: prepare what the instances of one workload need to copy its state to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotguard.cli.output import say_plainly

FOLDER = Path("/etc/spotguard/sync")
INBOX = Path("/var/lib/spotguard-inbox")


def sync_keys(
    folder: Annotated[Path, typer.Option(help="Where the keys and settings go; from / on.")] = FOLDER,
    inbox: Annotated[Path, typer.Option(help="Where a standby receives the state; from / on.")] = INBOX,
    port: Annotated[int, typer.Option(min=1, max=65535, help="That the standby's door listens on.")] = 8722,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
    ] = False,
) -> None:
    """Make the key, the host key and the settings of ssh for the state sync of one workload.

    The key opens the inbox and nothing else. Run it once, before the image is made; keys that are there stay.
    """
    from spotguard.host.sync_pair import UNIT, Pair, make, planned, settings_of

    pair = Pair(folder, inbox, port)
    for path, stays in planned(pair).items():
        say_plainly(f"{path}{' (is there, and stays)' if stays else ''}")
    if dry_run:
        say_plainly("\nNothing was written.")
        return
    make(pair)
    say_plainly("\nIn agent.toml:\n")
    say_plainly(settings_of(pair))
    say_plainly("To open the door, now and on every machine of the image:\n")
    say_plainly(f"ln -s {pair.folder / UNIT} /etc/systemd/system/{UNIT}")
    say_plainly(f"systemctl enable --now {UNIT}\n")
    say_plainly(f"The security group has to let port {port} in from itself.")
