"""State sync by the user's own commands: what they tell, and what becomes of those that fail, lie or hang."""

import json
import sys
import threading

import pytest

from spotguard.domain.errors import GateFailed, SyncFailed
from spotguard.host.command_sync import CommandSync, SyncCommands
from spotguard.host.term import UNKNOWN_TERM, Term
from spotguard.ports.workload import Received, SyncTarget
from tests.host.copying import whole_pass

TARGET = SyncTarget("i-0123456789abcdef0", "10.0.0.2")
PUSHED = {"position": 7, "bytes_sent": 3, "lag_seconds": 0.5}


def saying(text, status=0):
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({status})"]


def telling(**told):
    return saying(json.dumps(told))


def sync(seconds=20.0, term=UNKNOWN_TERM, **commands):
    usual = {
        "position": telling(position=7),
        "push": telling(**PUSHED),
        "received": telling(progress_percent=100, position=7, lag_seconds=0.5),
        "adopt": telling(adopted=True),
    }
    return CommandSync(SyncCommands(**{**usual, **commands}), seconds, term)


def test_what_the_commands_tell_is_what_is_told():
    told = sync()
    assert told.can_sync()
    assert told.position() == 7
    assert told.received() == Received(100, 7, 0.5)
    assert told.adopt(3) is True
    made = whole_pass(told, TARGET)
    assert (made.position, made.bytes_sent, made.lag_seconds) == (7, 3, 0.5)
    assert made.seconds > 0


def test_what_is_under_way_to_a_target_that_goes_is_ended(tmp_path):
    beats = tmp_path / "beats"
    script = (
        "import threading, pathlib\n"
        f"path = pathlib.Path({str(beats)!r}); tick = threading.Event()\n"
        "while not tick.wait(0.02): path.write_text(path.read_text() + '.' if path.exists() else '.')"
    )
    syncs = sync(push=[sys.executable, "-c", script])
    assert syncs.push(TARGET) is None
    syncs.keep_only([TARGET.instance_id])
    assert syncs.push(TARGET) is None, "it goes on"
    syncs.keep_only(["i-0fedcba9876543210"])
    beaten, waiting = beats.read_text(), threading.Event()
    waiting.wait(0.2)
    assert beats.read_text() == beaten, "its command has ended"
    syncs.keep_only([])


def test_a_push_is_told_its_target_and_an_adoption_its_epoch(tmp_path):
    names = (
        "SPOTGUARD_TARGET_INSTANCE_ID",
        "SPOTGUARD_TARGET_ADDRESS",
        "SPOTGUARD_EPOCH",
        "SPOTGUARD_INSTANCE_ID",
    )
    term = Term(held=lambda: 4, runs=lambda: True, instance=lambda: "i-00000000000000001")
    script = (
        f"import json, os; told = {{n: os.environ.get(n) for n in {names!r}}};"
        f"open({str(tmp_path / 'told')!r}, 'a').write(json.dumps(told) + chr(10));"
        f"print(json.dumps({{**{PUSHED!r}, 'adopted': True}}))"
    )
    writes = [sys.executable, "-c", script]
    told = sync(term=term, push=writes, adopt=writes)
    whole_pass(told, TARGET)
    told.adopt(4)
    pushed, adopted = (json.loads(line) for line in (tmp_path / "told").read_text().splitlines())
    assert [pushed[name] for name in names[:2]] == ["i-0123456789abcdef0", "10.0.0.2"]
    assert adopted["SPOTGUARD_EPOCH"] == "4"
    assert {one["SPOTGUARD_INSTANCE_ID"] for one in (pushed, adopted)} == {"i-00000000000000001"}


def test_nothing_is_sent_before_the_workload_has_opened_under_its_epoch(tmp_path):
    """What is here until then is the image's: sent, it would count as newer than what is about to be adopted."""
    opened, sent = [False], tmp_path / "sent"
    script = f"open({str(sent)!r}, 'w'); print({json.dumps(PUSHED)!r})"
    term = Term(held=lambda: 2, runs=lambda: opened[0], has_opened=lambda: opened[0])
    told = sync(term=term, push=[sys.executable, "-c", script])
    with pytest.raises(SyncFailed, match="opened under epoch 2"):
        told.push(TARGET)
    assert not sent.exists()
    opened[0] = True
    assert whole_pass(told, TARGET).position == 7


def test_what_is_said_besides_the_last_object_does_not_matter():
    assert sync(position=saying('starting\n{"position": 1}\n{"position": 9}\ndone')).position() == 9


@pytest.mark.parametrize(
    "bad",
    [
        saying('{"position": 7', 0),
        saying("nothing"),
        saying('{"position": "7"}'),
        saying('{"position": -1}'),
        saying('{"position": 9223372036854775808}'),
        saying('{"position": 1e999}'),
        saying('{"position": 7}', 1),
        ["/no/such/program"],
        [sys.executable, "-c", "import time; time.sleep(60)"],
    ],
)
def test_what_fails_lies_or_hangs_is_a_failed_sync_and_never_a_figure(bad):
    told = sync(2.0, position=bad, push=bad, received=bad, adopt=bad)
    with pytest.raises(SyncFailed):
        told.position()
    with pytest.raises(SyncFailed):
        whole_pass(told, TARGET)
    with pytest.raises(SyncFailed):
        told.received()
    with pytest.raises(GateFailed):
        told.adopt(2)


def test_a_long_push_keeps_nobody_waiting_and_a_failed_one_begins_anew(tmp_path):
    flag = tmp_path / "go"
    script = (
        f"import pathlib, sys, time; f = pathlib.Path({str(flag)!r})\n"
        "while not f.exists(): time.sleep(0.02)\n"
        f"print({json.dumps(PUSHED)!r}); sys.exit(f.read_text() == 'fail')"
    )
    told = sync(push=[sys.executable, "-c", script])
    assert told.push(TARGET) is None
    assert told.push(TARGET) is None
    whole = tmp_path / "word"
    whole.write_text("fail")
    whole.replace(flag)  # at once: the script reads no half of it
    with pytest.raises(SyncFailed):
        whole_pass(told, TARGET)
    flag.write_text("")
    assert whole_pass(told, TARGET).position == 7
