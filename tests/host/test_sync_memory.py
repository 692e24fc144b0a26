"""What a copying instance remembers, and what becomes of it on a disk that is full, torn or failing."""

import shutil
import subprocess

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import pass_id
from spotguard.host.known_folders import KnownFolders
from spotguard.host.sync_memory import NEVER, Memory, Sent, SyncMemory, memory_of
from spotguard.host.term import Term
from spotguard.ports.checked_lines import line_of
from spotguard.ports.workload import SyncTarget
from tests.host.copying import TARGET, forge, machine, opened, settle, whole_pass

FOLDERS = KnownFolders([7, 1 << 63, 4711])
needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture
def pair(tmp_path):
    """A primary with some state, and the standby that it pushes to."""
    state = tmp_path / "primary"
    state.mkdir()
    (state / "a").write_text("one")
    settle()
    return opened(tmp_path), machine(tmp_path, "standby"), state, tmp_path / "standby"


def forgetful(tmp_path, runs):
    """A holder of epoch 3 whose memory never reached the disk, after its agent's restart."""
    opened(tmp_path, epoch=3)
    shutil.rmtree(memory_of(tmp_path / "primary"))
    return machine(tmp_path, "primary", Term(held=lambda: 3, runs=lambda: runs))


@needs_rsync
def test_a_holder_whose_memory_was_lost_still_sends_what_is_adopted(pair, tmp_path):
    _, standby, state, theirs = pair
    whole_pass(opened(tmp_path, epoch=3))
    (state / "a").write_text("acknowledged later")
    settle()
    whole_pass(forgetful(tmp_path, runs=True))
    assert standby.adopt(4) is not None
    assert (theirs / "a").read_text() == "acknowledged later"


@needs_rsync
@pytest.mark.parametrize("runs", [False, None])
def test_no_pass_counts_for_an_epoch_under_which_the_workload_may_never_have_opened(pair, tmp_path, runs):
    _, standby, _, _ = pair
    with pytest.raises(SyncFailed, match="holds epoch 3, and of the state here is known only epoch -1"):
        whole_pass(forgetful(tmp_path, runs=runs))
    assert standby.received().position is None


@needs_rsync
@pytest.mark.parametrize("after", ["torn", "flipped", "gone"])
def test_whose_memory_was_damaged_keeps_its_state_from_a_late_pass_of_a_former_holder(pair, tmp_path, after):
    primary, standby, state, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    (theirs / "a").write_text("acknowledged since")
    (state / "a").write_text("of the past")
    whole_pass(primary)
    memory = memory_of(tmp_path / "standby") / "memory.json"
    written = memory.read_bytes()
    if after == "gone":
        memory.unlink()
    else:
        memory.write_bytes(written[:-9] if after == "torn" else written.replace(b'"epoch":2', b'"epoch":0'))
    for epoch in (2, 3):  # a reboot; and after it went elsewhere and came back
        assert machine(tmp_path, "standby").adopt(epoch) is None
        assert (theirs / "a").read_text() == "acknowledged since"


def serving(tmp_path, name, held):
    """A machine whose agent has been granted `held`, its workload running if it is its holder."""
    return machine(tmp_path, name, Term(held=lambda: held, runs=lambda: True, instance=lambda: f"i-{name}"))


@needs_rsync
@pytest.mark.parametrize("counted", [1, 2, 3, 9])
def test_epochs_of_another_agent_in_the_image_of_both_machines_keep_no_pass_from_being_adopted(
    tmp_path, counted
):
    """A trial before this installation, an agent of another name: the image was made of an instance that served."""
    (tmp_path / "primary").mkdir()
    serving(tmp_path, "golden", counted).adopt(counted)
    for name in ("primary", "standby"):
        shutil.copytree(memory_of(tmp_path / "golden"), memory_of(tmp_path / name))
    (tmp_path / "standby").mkdir()
    (tmp_path / "standby" / "a").write_text("of the image")
    (tmp_path / "primary" / "a").write_text("acknowledged since")
    whole_pass(serving(tmp_path, "primary", 1))
    for _ in range(2):  # once, and not again when its agent starts anew
        serving(tmp_path, "standby", None).adopt(2)
        assert (tmp_path / "standby" / "a").read_text() == "acknowledged since"
        (tmp_path / "primary" / "a").write_text("of the past")
        whole_pass(serving(tmp_path, "primary", 1))


@needs_rsync
def test_an_epoch_of_another_agent_that_lies_between_the_last_pass_and_the_grant_keeps_it_from_nothing(
    tmp_path,
):
    """Holders have died since before they could send one."""

    def of(agent, name, held):
        term = Term(lambda: held, lambda: True, instance=lambda: f"i-{name}", agent=lambda: agent)
        return machine(tmp_path, name, term)

    (tmp_path / "primary").mkdir()
    of("former", "golden", 4).adopt(4)
    shutil.copytree(memory_of(tmp_path / "golden"), memory_of(tmp_path / "standby"))
    (tmp_path / "standby").mkdir()
    (tmp_path / "standby" / "a").write_text("of the image")
    (tmp_path / "primary" / "a").write_text("acknowledged")
    whole_pass(of("ours", "primary", 3))
    of("ours", "standby", None).adopt(6)
    assert (tmp_path / "standby" / "a").read_text() == "acknowledged"


@needs_rsync
def test_a_machine_that_is_enrolled_anew_sends_what_is_adopted(pair, tmp_path):
    """Its epochs begin with 1 again; its former agent's ended with 7."""
    _, standby, _, theirs = pair
    opened(tmp_path, epoch=7)
    for _ in range(2):  # its agent's restart
        whole_pass(serving(tmp_path, "primary", 1))
    assert SyncMemory(memory_of(tmp_path / "primary")).known.epoch == 1
    assert standby.adopt(2) is not None
    assert (theirs / "a").read_text() == "one"


def remembered(tmp_path):
    memory = SyncMemory(tmp_path)
    kept = memory.keep(epoch=3, fingerprint="f", position=1_700_000_000_000_000, last=1_700_000_000_000_001)
    memory.keep_sent(TARGET.instance_id, Sent("000000003-00000000000000001", since_ns=1), FOLDERS)
    assert SyncMemory(tmp_path).known == memory.known != kept
    return tmp_path / "memory.json"


def test_of_a_memory_that_is_torn_or_has_one_bit_changed_nothing_is_believed_but_the_names(tmp_path):
    file = remembered(tmp_path)
    written = file.read_bytes()
    torn = [written[:length] for length in range(len(written) - 1)]
    flipped = [
        written[:at] + bytes([written[at] ^ 1 << at % 8]) + written[at + 1 :]
        for at in range(len(written) - 1)
    ]
    believed = set()
    for content in (*torn, *flipped):
        file.write_bytes(content)
        known = SyncMemory(tmp_path).known
        believed.add((known.epoch, known.position, known.last, len(known.sent)))
    named = (3, 0, 1_700_000_000_000_001, 0)
    same = (3, 1_700_000_000_000_000, 1_700_000_000_000_001, 1)  # a hexadecimal digit in the other case
    assert believed <= {named, same}
    assert named in believed


def test_where_all_are_gone_nothing_was_served_here(tmp_path):
    remembered(tmp_path).unlink()
    for named in ("served", "numbered"):
        shutil.rmtree(tmp_path / named)
    assert SyncMemory(tmp_path).known == Memory(epoch=NEVER)


def test_one_epoch_has_a_name_at_a_time_and_none_goes_back(tmp_path):
    memory = SyncMemory(tmp_path)
    for epoch in (2, 5):
        memory.keep(epoch=epoch)
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["000000005"]
    (tmp_path / "memory.json").write_bytes(b"")
    memory = SyncMemory(tmp_path)
    memory.keep(position=7)
    assert (memory.known.epoch, memory.known.position) == (5, 7)


@needs_rsync
def test_a_memory_of_a_version_before_the_checksum_is_read_and_is_no_damage(pair, tmp_path):
    """Else an upgrade forgets its epoch: a late pass would replace what is served, and every pass be a whole copy."""
    primary, standby, state, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    (theirs / "a").write_text("acknowledged since")
    (state / "a").write_text("of the past")
    whole_pass(primary)
    folder = memory_of(tmp_path / "standby")
    before = SyncMemory(folder).known
    shutil.rmtree(folder / "served")
    memory = folder / "memory.json"
    memory.write_bytes(memory.read_bytes().partition(b" ")[2].strip())
    assert SyncMemory(folder).known == before
    assert before.epoch == 2
    assert machine(tmp_path, "standby").adopt(3) is None
    assert (theirs / "a").read_text() == "acknowledged since"


def test_a_memory_that_cannot_be_written_leaves_no_files_behind(tmp_path):
    """A full disk would be given one more with each try, and names alone fill it."""
    memory = SyncMemory(tmp_path)
    memory.keep(epoch=1)
    (tmp_path / "memory.json").unlink()
    (tmp_path / "memory.json").mkdir()  # what is to be replaced cannot be
    for number in range(5):
        assert memory.keep(last=number).last == number
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.json", "numbered", "served"]


def sent_by_the_key(inbox, tmp_path, source):
    """All that the door lets its key do: into the inbox, by rsync, deleting what the sender does not have."""
    door = tmp_path / "door"
    door.write_text(f'#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND="$*" exec rrsync -wo -no-lock {inbox}\n')
    door.chmod(0o755)
    sending = ["rsync", "-rt", "--delete", "--rsh", str(door), f"{source}/", "door:/"]
    subprocess.run(sending, check=True)


@needs_rsync
@pytest.mark.skipif(shutil.which("rrsync") is None, reason="rrsync is not installed")
def test_who_may_write_to_the_inbox_changes_nothing_of_what_is_remembered_here(pair, tmp_path):
    """A former holder has the key: its own pass would replace what is served, and no pass would count ever after."""
    primary, standby, _, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    (theirs / "a").write_text("acknowledged since")
    settle()
    forged = tmp_path / "forged"
    forge(forged, pass_id(1, 99_999_999_999_999_998), "whole")
    (forged / "memory.json").write_bytes(line_of(Memory(epoch=0)))
    (forged / "numbered").mkdir()
    (forged / "numbered" / "99999999999999999").touch()
    sent_by_the_key(tmp_path / "standby-inbox", tmp_path, forged)
    restarted = machine(tmp_path, "standby")
    assert restarted.adopt(2) is None
    assert (theirs / "a").read_text() == "acknowledged since"
    made = whole_pass(restarted, SyncTarget("i-0000000000000000c", "third"))
    assert machine(tmp_path, "third").received().position == made.position


def test_what_an_agent_before_an_upgrade_kept_in_the_inbox_is_taken_over_once(tmp_path):
    inbox, folder = tmp_path / "standby-inbox", memory_of(tmp_path / "standby")
    SyncMemory(inbox).keep(epoch=4, position=7, last=9)
    assert SyncMemory(folder, inbox).known == SyncMemory(inbox).known
    SyncMemory(inbox).keep(epoch=9)
    assert SyncMemory(folder, inbox).known.epoch == 4


def test_what_is_laid_into_the_inbox_of_who_remembers_nothing_is_not_believed(tmp_path):
    inbox, folder = tmp_path / "standby-inbox", memory_of(tmp_path / "standby")
    assert SyncMemory(folder, inbox).known.epoch == NEVER
    SyncMemory(inbox).keep(epoch=4)
    assert SyncMemory(folder, inbox).known.epoch == NEVER
