"""Streaming replication of PostgreSQL as a state sync: `python3 -m spotguard.host.recipes.postgresql VERB`.

For the state sync `position`, `push`, `received` and `adopt`; for the gate `serve`, `stop` and `serves`. Run as the
user that owns the cluster. PGDATA, PGPORT, PGUSER and the like are libpq's own; `SPOTGUARD_PG_BIN` is the folder of
pg_ctl. A position is a byte of the write-ahead log (https://www.postgresql.org/docs/15/functions-admin.html).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ASK_SECONDS = 10
PATIENCE = (
    "SPOTGUARD_PG_PATIENCE_SECONDS"  # of a push: 50 unless set, a little less than sync_command_seconds
)
LOOK_SECONDS = 0.05
CAUGHT_UP = "spotguard-caught-up.json"
CLOCKS_AGREE_SECONDS = 1.0
_LOCATION = re.compile(r"^Latest checkpoint location:\s+([0-9A-F]+)/([0-9A-F]+)$", re.MULTILINE)
_STATE = re.compile(r"^Database cluster state:\s+(.*)$", re.MULTILINE)
_SYSTEM = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)
_TIMELINE = re.compile(r"^Latest checkpoint's TimeLineID:\s+(\d+)$", re.MULTILINE)
_HELD = "pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')"
_RECEIVED = (
    f"select {_HELD}, pg_wal_lsn_diff(latest_end_lsn, '0/0'),"  # noqa: S608 - constants
    " extract(epoch from clock_timestamp() - last_msg_receipt_time)"
    " from (select 1) as one left join pg_stat_wal_receiver on status = 'streaming'"
)
_THEIRS = (  # a segment's name begins with its timeline
    f"select coalesce({_HELD}, 0), system_identifier || ' ' ||"  # noqa: S608 - constants
    " (select max(substr(name, 1, 8)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') from pg_control_system()"
)
_OURS = (
    "select system_identifier || ' ' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
    " from pg_control_system()"
)


class RecipeFailed(Exception):
    """One line for the agent's log."""


def position() -> dict[str, object]:
    """While it serves, what is flushed; once stopped, the record that its stop wrote: nothing follows it.

    After a crash the last checkpoint is older than what was acknowledged since.
    """
    if _is_up():
        return {"position": int(_ask("select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')"))}
    told = _run("pg_controldata", "-D", _data())
    state = _STATE.search(told)
    if state is None or state[1] != "shut down":
        raise RecipeFailed(f"it was not stopped in order ({state[1] if state else 'of no known state'})")
    found = _LOCATION.search(told)
    if found is None:
        raise RecipeFailed("pg_controldata names no checkpoint")
    return {"position": int(found[1], 16) * 2**32 + int(found[2], 16) + 1}


def push() -> dict[str, object]:
    """Until the target has flushed all that is flushed here now. The sending is the servers' own business.

    A byte of another timeline's log is another byte, however far that has come.
    """
    begun, own, course = time.monotonic(), int(str(position()["position"])), _course()
    address = os.environ["SPOTGUARD_TARGET_ADDRESS"]
    first, followed = _held_by(address)
    theirs, waiting = first, threading.Event()
    while theirs < own or followed != course:
        if time.monotonic() - begun > float(os.environ.get(PATIENCE, "50")):
            if followed != course:
                raise RecipeFailed(
                    f"{address} does not follow timeline {course}, but {followed}: make it anew"
                )
            raise RecipeFailed(f"{address} lacks {own - theirs} bytes of the log")
        waiting.wait(LOOK_SECONDS)
        theirs, followed = _held_by(address)
    return {"position": own, "bytes_sent": max(0, theirs - first), "lag_seconds": time.monotonic() - begun}


def received() -> dict[str, object]:
    """The lag is counted from the last moment at which nothing was known to be missing, by this machine's clock."""
    if not _is_standby():
        return {"progress_percent": 0, "position": None, "lag_seconds": None}
    held, end, silent = _ask(_RECEIVED).split("|")
    missing = int(end) - int(held) if end else None
    if missing is not None and missing <= 0:
        _note_caught_up(time.time() - float(silent))
    return {
        "progress_percent": 100,
        "position": int(held),
        "lag_seconds": _seconds_since_caught_up(),
        "lag_bytes": None if missing is None else max(0, missing),
    }


def adopt() -> dict[str, object]:
    """Promote what stands by; a cluster that does not is left as it is."""
    if not _stands_by():
        return {"adopted": False}
    if not _is_up():
        _pg_ctl("start")
    _pg_ctl("promote")
    (Path(_data()) / CAUGHT_UP).unlink(missing_ok=True)
    return {"adopted": True}


def serve() -> dict[str, object]:
    if not _is_up():
        _pg_ctl("start")
    return serves()


def stop() -> dict[str, object]:
    """Fast: sessions end, everything is flushed, and connected standbys get the whole log before it ends."""
    if _is_up():
        _pg_ctl("stop", "-m", "fast")
    return {"stopped": True}


def serves() -> dict[str, object]:
    """A standby is up and does not serve."""
    if not _is_up() or _is_standby():
        raise RecipeFailed("it does not serve")
    return {"serves": True}


VERBS: Mapping[str, Callable[[], dict[str, object]]] = {
    verb.__name__: verb for verb in (position, push, received, adopt, serve, stop, serves)
}


def main(words: list[str]) -> int:
    if len(words) != 1 or words[0] not in VERBS:
        sys.stderr.write(f"one of {', '.join(VERBS)}\n")
        return 2
    try:
        sys.stdout.write(json.dumps(VERBS[words[0]]()) + "\n")
    except (RecipeFailed, OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"{words[0]}: {error}\n")
        return 1
    return 0


def _held_by(address: str) -> tuple[int, str]:
    """How far, and of which course of which cluster."""
    held, course = _ask(_THEIRS, host=address).split("|")
    return int(held), course


def _course() -> str:
    """The cluster and its timeline: while it serves that of its next write, stopped that of its last checkpoint."""
    if _is_up():
        return _ask(_OURS)
    told = _run("pg_controldata", "-D", _data())
    system, timeline = _SYSTEM.search(told), _TIMELINE.search(told)
    if system is None or timeline is None:
        raise RecipeFailed("pg_controldata names no timeline")
    return f"{system[1]} {int(timeline[1]):08X}"


def _is_up() -> bool:
    asked = subprocess.run([_program("pg_ctl"), "status", "-D", _data()], capture_output=True, check=False)
    return asked.returncode == 0


def _is_standby() -> bool:
    return _is_up() and _stands_by()


def _stands_by() -> bool:
    """By its folder, which a promotion clears: one that takes no more connections serves all the same."""
    return (Path(_data()) / "standby.signal").exists()


def _note_caught_up(at: float) -> None:
    path = Path(_data()) / CAUGHT_UP
    path.with_suffix(".new").write_text(json.dumps({"at": at}))
    path.with_suffix(".new").replace(path)


def _seconds_since_caught_up() -> float | None:
    """None where nobody knows: a moment that is yet to come is of a clock that was put right since, and forgotten."""
    path = Path(_data()) / CAUGHT_UP
    if not path.exists():
        return None
    since = time.time() - float(json.loads(path.read_text())["at"])
    if since < -CLOCKS_AGREE_SECONDS:
        path.unlink()
        return None
    return max(0.0, since)


def _ask(query: str, host: str | None = None) -> str:
    where = [] if host is None else ["--host", host]
    return _run("psql", "-XAtq", *where, "--dbname", os.environ.get("PGDATABASE", "postgres"), "-c", query)


def _pg_ctl(*words: str) -> None:
    _run("pg_ctl", *words, "-D", _data(), "-w", "-s", "-l", str(Path(_data()) / "spotguard.log"), seconds=600)


def _run(program: str, *words: str, seconds: float = ASK_SECONDS) -> str:
    try:
        ran = subprocess.run(
            [_program(program), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=seconds,
            env={"PGCONNECT_TIMEOUT": "5", **os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise RecipeFailed(f"{program}: no end within {seconds:g} s") from error
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {ran.returncode}"]
        raise RecipeFailed(f"{program}: {said[0]}")
    return ran.stdout.decode().strip()


def _program(name: str) -> str:
    folder = os.environ.get("SPOTGUARD_PG_BIN")
    return str(Path(folder) / name) if folder else name


def _data() -> str:
    return os.environ["PGDATA"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
