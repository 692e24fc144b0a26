"""Machines that copy their state with real rsync, from folder to folder."""

import threading

import msgspec

from spotguard.host.inbox import Mark
from spotguard.host.rsync import RsyncSync
from spotguard.host.term import UNKNOWN_TERM
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget

TARGET = SyncTarget("i-0123456789abcdef0", "standby")


def machine(tmp_path, name, term=UNKNOWN_TERM):
    """What an agent has there: `name` is the state's folder, `name-inbox` where passes arrive."""
    return RsyncSync(
        tmp_path / name, tmp_path / f"{name}-inbox", RsyncTransport(str(tmp_path / "{address}-inbox")), term
    )


def opened(tmp_path, name="primary", epoch=1):
    sync = machine(tmp_path, name)
    sync.adopt(epoch)
    return sync


def settle():
    """So long that the kernel's clock has ticked since the last write."""
    threading.Event().wait(0.06)


def wait(nanoseconds):
    """So long, and a little longer."""
    threading.Event().wait(nanoseconds / 1e9 + 0.2)


def whole_pass(sync, target=TARGET):
    waiting = threading.Event()
    for _ in range(500):
        made = sync.push(target)
        if made is not None:
            return made
        waiting.wait(0.01)
    raise AssertionError("the pass never ended")


def proven_pass(tmp_path, primary):
    """The last one, with the gate closed: the standby has it, and may claim that it is all of the state."""
    assert whole_pass(primary).position == primary.position(), "it claims to be all of it"
    assert machine(tmp_path, "standby").adopt(2)


def pair_in(folder):
    """A primary with some state, the standby that it pushes to, and where the state of each lies."""
    state = folder / "primary"
    (state / "sub").mkdir(parents=True)
    (state / "a").write_text("one")
    (state / "sub" / "b").write_text("two")
    settle()
    return opened(folder), machine(folder, "standby"), state, folder / "standby"


def forge(inbox, name, kind, position=1):
    """A pass that a sender has marked."""
    (inbox / "marks").mkdir(parents=True, exist_ok=True)
    (inbox / "passes" / name).mkdir(parents=True)
    (inbox / "marks" / f"{name}.{kind}").write_bytes(msgspec.json.encode(Mark(position, 100)))
