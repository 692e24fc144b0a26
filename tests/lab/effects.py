"""What an effect on the world is called: the step of the move that it belongs to, and what it does.

`gate_closed/gate close`, `launched/ec2 run_instance`, `released/journal released`, `granted/commit`. The name follows
from the effect itself (the content that is written, the body that is sent), not from where in the code it is made.
"""

import json

import sqlalchemy as sa

from spotguard.domain.switches import STEP_OF_TIMING, Step
from spotguard.ports.checked_lines import Damaged, value_of
from spotguard.store.tables import intentions, switch_steps

DISK = frozenset({"replace", "append"})
GATE = frozenset({"open", "close"})
LINK = frozenset({"call"})
SYNC = frozenset({"push"})

STEP_OF_CALL = {
    "run_instance": Step.LAUNCHED,
    "create_fleet": Step.LAUNCHED,
    "create_image": Step.IMAGED,
    "create_snapshot": Step.SNAPSHOTTED,
    "detach_volume": Step.VOLUMES_MOVED,
    "attach_volume": Step.VOLUMES_MOVED,
    "terminate_instance": Step.OLD_ENDED,
    "delete_volume": Step.PRUNED,
    "delete_snapshot": Step.PRUNED,
}
CLOUD = frozenset(STEP_OF_CALL)

BEGUN = {"switch": Step.DECIDED, "promote": Step.OPENED, "terminate_instance": Step.OLD_ENDED}
ANSWERED = {"switch": Step.RELEASED, "promote": Step.OPENED, "terminate_instance": Step.OLD_ENDED}


def of_gate(name):
    return {f"{Step.OPENED}/gate open" if name == "open" else f"{Step.GATE_CLOSED}/gate close"}


def of_cloud(name):
    return {f"{STEP_OF_CALL[name]}/ec2 {name}"}


def of_push(disk):
    paused = (read(disk, "primacy") or {}).get("paused")
    return {f"{Step.DELTA_SENT if paused else Step.SYNCED}/push"}


def of_link(disk, _name, arguments, keywords):
    path, body = arguments[1], keywords.get("body") or {}
    if path.endswith("/register"):
        return {f"{Step.ENROLLED}/send registration"}
    if path.endswith("/switch-report"):
        return {f"{STEP_OF_TIMING[name]}/send report" for name in body.get("timing") or ()}
    if path.endswith("/result"):
        return {f"{step}/send result" for step in _answer_of(disk, path.split("/")[-2])}
    return set()


def of_disk(disk, name, arguments, _keywords):
    file, content = arguments
    value = _value(content)
    if name == "append":
        return _of_outbox(disk, value) if file == "outbox" else set()
    reader = _OF_FILE.get(file)
    return set() if reader is None else reader(read(disk, file), value)


def read(disk, file):
    content = disk.read(file)
    return None if content is None else _value(content)


def _value(content):
    try:
        return value_of(content.removesuffix(b"\n"))
    except Damaged:
        return None


def _of_outbox(disk, line):
    report = line.get("put")
    verb, what = ("journal", report["id"]) if report else ("acknowledge", line["gone"])
    kind, _, rest = what.partition(":")
    if kind == "switch":
        return {f"{step}/{verb} report" for step in rest.partition(":")[2].split(",")}
    if kind == "result":
        return {f"{step}/{verb} result" for step in _answer_of(disk, rest)}
    return set()


def _answer_of(disk, command_id):
    """The step that the answer of this command belongs to."""
    known = {entry["command"]["id"]: entry["command"] for entry in read(disk, "commands") or ()}
    command = known.get(command_id)
    return {ANSWERED[command["command_type"]]} if command and command["command_type"] in ANSWERED else set()


def _of_commands(before, after):
    known = {entry["command"]["id"]: entry.get("answer") for entry in before or ()}
    found = set()
    for entry in after:
        command = entry["command"]
        kind = command["command_type"]
        if kind not in BEGUN:
            continue
        if command["id"] not in known:
            found.add(f"{BEGUN[kind]}/journal command")
        if entry.get("answer") and not known.get(command["id"]):
            found.add(f"{ANSWERED[kind]}/journal answer")
    return found


def _of_move(before, after):
    old, new = json.loads(before or "{}"), json.loads(after)
    if old.get("switch_id") != new.get("switch_id"):
        old = {}
    found = {f"{step}/journal step" for step in new["done"] if step not in old.get("done", {})}
    if not old:
        found.add(f"{Step.DECIDED}/journal move")
    if new.get("image_id") and not old.get("image_id"):
        found.add(f"{Step.IMAGED}/journal image")
    if new.get("volumes") and not old.get("volumes"):
        found.add(f"{Step.VOLUMES_MOVED}/journal volumes")
    return found


def _of_primacy(before, after):
    old = before or {}
    found = set()
    if after.get("paused") and not old.get("paused"):
        found.add(f"{Step.GATE_CLOSED}/journal pause")
    if after.get("flush_seconds") != old.get("flush_seconds"):
        found.add(f"{Step.GATE_CLOSED}/journal flush")
    if after.get("released", 0) > old.get("released", 0):
        found.add(f"{Step.RELEASED}/journal release")
    if after.get("held") and after.get("held") != old.get("held"):
        found.add(f"{Step.OPENED}/journal epoch")
    return found


def _of_intentions(before, after):
    known = {entry["token"]: entry.get("outcome") for entry in before or ()}
    found = set()
    for entry in after:
        if entry["token"] not in known:
            found.add(f"{Step.LAUNCHED}/journal intention")
        elif entry.get("outcome") and not known[entry["token"]]:
            found.add(f"{Step.LAUNCHED}/journal outcome")
    return found


_OF_FILE = {
    "commands": _of_commands,
    "move": _of_move,
    "primacy": _of_primacy,
    "intentions": _of_intentions,
    "enrolment": lambda before, after: {f"{Step.ENROLLED}/journal enrolment"} if after != before else set(),
}


def rows(tx):
    """What a commit may change of moves: recorded steps and intentions."""
    steps = tx.execute(sa.select(switch_steps.c.switch_id, switch_steps.c.step)).all()
    wishes = tx.execute(sa.select(intentions.c.token, intentions.c.status)).all()
    return {tuple(row) for row in steps}, {tuple(row) for row in wishes}


def of_rows(before, after):
    fresh_steps, fresh_wishes = after[0] - before[0], after[1] - before[1]
    found = {f"{step}/commit" for _, step in fresh_steps}
    for _, status in fresh_wishes:
        found.add(f"{Step.LAUNCHED}/commit {'intention' if status == 'open' else 'outcome'}")
    return found
