"""State sync between two hosts: rsync over ssh through the inbox's door, with links that break."""

import os
import subprocess

import pytest

from spotguard.agent.sync import status_of
from spotguard.domain.errors import BadSetting
from spotguard.domain.replicas import SyncStatus
from spotguard.host.sync_pair import SSH_CONFIG, Pair, make, settings_of
from tests.host.namespaces import broken_pass, hosts, needs_namespaces, until, whole_pass

pytestmark = [pytest.mark.long, needs_namespaces]
SLOW = "--bwlimit=1M"  # a pass of megabytes lasts long enough to be broken


@pytest.fixture
def pair():
    """A primary with some state, and a standby with an open door."""
    with hosts() as world:
        primary, standby = world.host(door=False), world.host()
        primary.state.mkdir()
        (primary.state / "small").write_text("one")
        impatient(primary)
        yield primary, standby


def impatient(host):
    """Its ssh finds out within two seconds that the other end is gone."""
    config = host.folder / "keys" / SSH_CONFIG
    patient = config.read_text()
    assert "ServerAliveInterval 5" in patient
    assert "ConnectTimeout 5" in patient
    config.write_text(
        patient.replace("ServerAliveInterval 5", "ServerAliveInterval 1")
        .replace("ServerAliveCountMax 3", "ServerAliveCountMax 1")
        .replace("ConnectTimeout 5", "ConnectTimeout 1")
    )


def half_way(pushing, standby, pattern):
    """A pass is under way, and this much of it has arrived."""

    def arrived():
        assert pushing.push(standby.target) is None
        return list(standby.inbox.glob(f"passes/*/{pattern}"))

    until(arrived)


def test_a_pass_arrives_whole_and_the_next_one_brings_what_changed(pair):
    primary, standby = pair
    large = os.urandom(5_000_000)
    (primary.state / "large").write_bytes(large)
    (primary.state / "many").mkdir()
    for number in range(500):
        (primary.state / "many" / f"{number}").write_text(str(number))
    os.link(primary.state / "large", primary.state / "same")
    (primary.state / "points").symlink_to("large")
    odd = [b"-rf", b"new\nline", b"\xff\xfe", b"$(id) ; *"]
    for name in odd:
        (primary.state / os.fsdecode(name)).write_text("odd")
    os.chown(primary.state / "small", 12345, 54321)
    for name in ("user.colour", "user.rsync.%stat"):
        os.setxattr(primary.state / "small", name, b"green")
    pushing, receiving = primary.sync(), standby.sync()
    first = whole_pass(pushing, standby.target)
    assert first.bytes_sent > 5_000_000
    assert receiving.received().position == first.position

    (primary.state / "many" / "7").unlink()
    (primary.state / "small").write_text("two")
    until(lambda: whole_pass(pushing, standby.target).position == pushing.position())
    assert receiving.received().position == pushing.position()
    assert receiving.received().lag_seconds < 30
    assert receiving.adopt(2) is not None
    theirs = standby.state
    assert (theirs / "large").read_bytes() == large
    assert (theirs / "same").samefile(theirs / "large")
    assert (theirs / "points").is_symlink()
    assert len(list((theirs / "many").iterdir())) == 499
    assert {os.fsencode(path.name) for path in theirs.iterdir()} >= set(odd)
    assert (theirs / "small").read_text() == "two"
    assert ((theirs / "small").stat().st_uid, (theirs / "small").stat().st_gid) == (12345, 54321)
    for name in ("user.colour", "user.rsync.%stat"):
        assert os.getxattr(theirs / "small", name) == b"green"


@pytest.mark.parametrize("cut", ["link", "kill"])
def test_a_pass_that_breaks_leaves_the_last_whole_one(pair, cut):
    primary, standby = pair
    pushing, receiving = primary.sync(SLOW), standby.sync()
    before = whole_pass(pushing, standby.target)
    for number in range(4):
        (primary.state / f"part-{number}").write_bytes(os.urandom(1_000_000))
    (primary.state / "small").write_text("two")
    half_way(pushing, standby, "part-0")
    if cut == "link":
        primary.link("down")
    else:
        assert standby.kill_rsync()
    assert "rsync: exit" in broken_pass(pushing, standby.target)
    assert receiving.received().position == before.position
    assert list(standby.inbox.glob("passes/*/part-0")), "half of it lies there"

    primary.link("up")
    after = until(lambda: caught_up(pushing, standby.target))
    assert after.bytes_sent < 3_500_000, "what had arrived is not sent again"
    assert receiving.received().position == after.position > before.position
    assert receiving.adopt(2) is not None
    assert (standby.state / "small").read_text() == "two"


def caught_up(sync, target):
    made = whole_pass(sync, target)
    return made if made.position == sync.position() else None


def test_half_a_pass_is_not_adopted_when_the_primary_dies_in_the_middle(pair):
    primary, standby = pair
    pushing, receiving = primary.sync(SLOW), standby.sync()
    whole_pass(pushing, standby.target)
    for number in range(3):
        (primary.state / f"part-{number}").write_bytes(os.urandom(1_000_000))
    (primary.state / "small").write_text("two")
    half_way(pushing, standby, "part-0")
    assert primary.kill_rsync()
    assert receiving.adopt(2) is not None
    assert (standby.state / "small").read_text() == "one"
    assert not (standby.state / "part-0").exists()
    broken_pass(pushing, standby.target)


def test_a_first_pass_shows_its_progress_which_never_goes_back(pair):
    primary, standby = pair
    for number in range(3):
        (primary.state / f"part-{number}").write_bytes(os.urandom(800_000))
    pushing, receiving = primary.sync(SLOW), standby.sync()
    seen = []

    def looks():
        done = pushing.push(standby.target)
        seen.append(receiving.received())
        return done

    assert receiving.received().progress_percent == 0
    until(looks)
    progress = [one.progress_percent for one in seen]
    assert progress == sorted(progress)
    assert len(set(progress)) > 2, progress
    assert all(one.position is None for one in seen if one.progress_percent < 100)
    assert progress[-1] == 100


def test_a_standby_whose_link_is_down_is_out_of_sync_and_catches_up(pair):
    primary, standby = pair
    pushing, receiving = primary.sync(), standby.sync()
    allowed = 4.0

    def status():
        return status_of(receiving.received(), allowed)

    assert status() is SyncStatus.INITIALIZING
    whole_pass(pushing, standby.target)
    assert status() is SyncStatus.SYNCED
    primary.link("down")
    broken_pass(pushing, standby.target)
    until(lambda: status() is SyncStatus.OUT_OF_SYNC)
    assert receiving.received().lag_seconds > allowed
    primary.link("up")
    until(lambda: caught_up(pushing, standby.target))
    assert status() is SyncStatus.SYNCED
    assert receiving.received().lag_seconds < allowed


def test_a_file_that_changes_during_the_pass_makes_it_incomplete_until_the_next(pair):
    primary, standby = pair
    (primary.state / "a-large").write_bytes(os.urandom(1_500_000))
    (primary.state / "z-late").write_text("before")
    pushing, receiving = primary.sync(SLOW), standby.sync()
    half_way(pushing, standby, ".a-large.*")
    (primary.state / "z-late").write_text("after!")
    first = whole_pass(pushing, standby.target)
    assert first.position < pushing.position(), "the pass does not claim what came after it began"
    last = until(lambda: caught_up(pushing, standby.target))
    assert receiving.received().position == last.position
    receiving.adopt(2)
    assert (standby.state / "z-late").read_text() == "after!"


def test_the_key_opens_the_inbox_and_nothing_else(pair):
    primary, standby = pair
    (standby.folder / "secret").write_text("secret")
    (standby.inbox / "there").write_text("there")
    config = str(primary.folder / "keys" / SSH_CONFIG)
    login = subprocess.run(
        primary.command("ssh", "-F", config, f"root@{standby.address}", "id"),
        capture_output=True,
        check=False,
    )
    assert login.returncode != 0
    assert b"uid=" not in login.stdout
    for there in ("/there", "/../secret"):
        pulled = subprocess.run(
            primary.command(
                "rsync", f"--rsh=ssh -F {config}", f"root@{standby.address}:{there}", str(primary.folder)
            ),
            capture_output=True,
            check=False,
        )
        assert pulled.returncode != 0
        assert not (primary.folder / there.rpartition("/")[2]).exists()
    outside = subprocess.run(
        primary.command(
            "rsync",
            f"--rsh=ssh -F {config}",
            str(primary.state / "small"),
            f"root@{standby.address}:/../planted",
        ),
        capture_output=True,
        check=False,
    )
    assert outside.returncode != 0
    assert not (standby.folder / "planted").exists()


def test_a_host_with_another_key_is_not_spoken_to(pair):
    primary, standby = pair
    standby.door.terminate()
    standby.door.wait(10)
    for name in ("host_key", "host_key.pub"):
        (standby.folder / "keys" / name).unlink()
    make(Pair(standby.folder / "keys", standby.inbox, 8722))
    standby.open_door()
    assert "Host key verification failed" in broken_pass(primary.sync(), standby.target)
    assert not list(standby.inbox.iterdir())


def test_keys_that_are_there_stay(pair):
    primary, _ = pair
    folder = primary.folder / "keys"
    before = (folder / "key").read_bytes(), (folder / "host_key").read_bytes()
    pair_of_it = Pair(folder, primary.inbox, 8722)
    assert folder / "sshd_config" in make(pair_of_it)
    assert ((folder / "key").read_bytes(), (folder / "host_key").read_bytes()) == before
    assert (folder / "key").stat().st_mode & 0o077 == 0
    assert 'sync_destination = "root@{address}:/"' in settings_of(pair_of_it)


def test_a_folder_that_ssh_s_settings_cannot_name_is_refused(tmp_path):
    with pytest.raises(BadSetting):
        make(Pair(tmp_path / 'with "quotes"', tmp_path / "inbox", 8722))


def test_a_note_goes_through_the_same_door_while_a_pass_is_under_way(pair):
    primary, standby = pair
    for number in range(3):
        (primary.state / f"part-{number}").write_bytes(os.urandom(800_000))
    pushing, receiving = primary.sync(SLOW), standby.sync()
    half_way(pushing, standby, "part-0")
    for content in (b"for you", b"and another"):
        pushing.deliver(standby.target, "ticket", content)
        assert receiving.delivered("ticket") == content
    assert receiving.received().position is None, "the pass is still under way"
    whole_pass(pushing, standby.target)
