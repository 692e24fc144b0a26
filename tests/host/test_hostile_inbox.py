"""Whoever has the key to an inbox may lay anything into it: nothing outside is read, taken or deleted for it."""

import os

import pytest

from spotguard.host.inbox import KEPT_BROKEN, KEPT_WHOLE, Inbox, delete_former, former, pass_id

MARK = b'{"position": 7, "bytes": 1}'


@pytest.fixture
def inbox(tmp_path):
    for place in ("passes", "marks"):
        (tmp_path / "inbox" / place).mkdir(parents=True)
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def home(tmp_path):
    """Other people's."""
    folder = tmp_path / "home"
    for number in range(KEPT_WHOLE + KEPT_BROKEN + 3):
        (folder / f"user-{number}").mkdir(parents=True)
        (folder / f"user-{number}" / "letter").write_text("dear all")
        (folder / pass_id(1, number)).mkdir()
    return folder


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "a").write_text("of the image")
    return folder


def lay(inbox, number, content=MARK, kind="whole"):
    (inbox.folder / "marks" / f"{pass_id(1, number)}.{kind}").write_bytes(content)


def send(inbox, number):
    (inbox.folder / "passes" / pass_id(1, number)).mkdir()
    (inbox.folder / "passes" / pass_id(1, number) / "a").write_text(f"pass {number}")
    lay(inbox, number)


@pytest.mark.parametrize("place", ["passes", "marks"])
def test_a_folder_that_is_a_link_leads_nowhere(inbox, home, state, place):
    (inbox.folder / place).rmdir()
    (inbox.folder / place).symlink_to(home)
    before = sorted(home.rglob("*"))
    if place == "passes":
        lay(inbox, 1)
    assert inbox.received(0).position is None
    assert inbox.adopt(state, 0, 2) is None
    inbox.finish_clearing()
    inbox.clear(2)
    assert sorted(home.rglob("*")) == before
    assert (state / "a").read_text() == "of the image"


def test_a_pass_that_is_a_link_is_none(inbox, home, state):
    send(inbox, 1)
    (inbox.folder / "passes" / pass_id(1, 2)).symlink_to(home)
    lay(inbox, 2)
    assert inbox.adopt(state, 0, 2).id == pass_id(1, 1)
    assert not state.is_symlink()


def test_names_that_are_no_passs_are_nobodys_to_delete(inbox):
    (inbox.folder / "passes" / "of-the-admin").mkdir()
    for number in range(KEPT_WHOLE + 1):
        send(inbox, number)
    inbox.received(0)
    assert (inbox.folder / "passes" / "of-the-admin").is_dir()
    assert not (inbox.folder / "passes" / pass_id(1, 0)).exists()


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "giant"])
def test_a_mark_that_is_no_small_file_is_none(inbox, state, what):
    send(inbox, 1)
    mark = inbox.folder / "marks" / f"{pass_id(1, 2)}.whole"
    (inbox.folder / "passes" / pass_id(1, 2)).mkdir()
    if what == "pipe":
        os.mkfifo(mark)
    elif what == "link":
        mark.symlink_to("/dev/zero")
    elif what == "folder":
        mark.mkdir()
    else:
        mark.write_bytes(MARK + b" " * 20_000)
    assert inbox.received(0).position == 7
    adopted = inbox.adopt(state, 0, 2)
    assert adopted is not None
    assert (state / "a").read_text() == "pass 1"


def test_an_older_pass_does_not_take_the_place_of_the_one_that_became_the_state(inbox, state):
    """Its agent was killed before it had written down that there is one."""
    send(inbox, 1)
    send(inbox, 2)
    assert inbox.adopt(state, 0, 2) is not None
    assert Inbox(inbox.folder).adopt(state, 0, 2) is None
    assert (state / "a").read_text() == "pass 2"
    Inbox(inbox.folder).finish_clearing()
    assert not list((inbox.folder / "passes").iterdir())
    assert not list((inbox.folder / "marks").iterdir())


def test_a_folder_that_is_made_anew_where_a_swap_was_cut_short_is_in_nobodys_way(inbox, state):
    """systemd-tmpfiles, StateDirectory=, or a person."""
    send(inbox, 1)
    aside = state.with_name(f".state.before-{pass_id(1, 1)}")
    for left in (aside, aside.with_name(f"{aside.name}.1")):
        state.mkdir(exist_ok=True)
        (state / "a").write_text("made anew")
        state.rename(left)
    state.mkdir()
    assert inbox.adopt(state, 0, 2) is not None
    assert (state / "a").read_text() == "pass 1"
    assert len(former(state)) == 3
    delete_former(former(state))
    assert [path.name for path in state.parent.iterdir() if "before" in path.name] == []
