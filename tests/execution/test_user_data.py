"""The user data of clones: the note alone, or beside the owner's own, however often a clone is cloned."""

import json
from email import message_from_string

import pytest

from spotguard.agent.enrolment import launch_note
from spotguard.execution.user_data import beside_the_owners, note_part, owners_part
from spotguard.ports.shape import Shape, UserDataPolicy

NOTE = json.dumps(
    {"spotguard": {"server_url": "https://x", "logical_agent_id": "web", "enrolment_token": "t"}}
)
SCRIPT = "#!/bin/sh\necho hello\n"
MIME = (
    'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n'
    "--b\nContent-Type: text/cloud-config\n\n{}\n--b--\n"
)


def kept(user_data):
    return Shape(user_data_policy=UserDataPolicy.KEEP, user_data=user_data)


@pytest.mark.parametrize(
    "shape", [None, Shape(), Shape(user_data=SCRIPT), kept(None), kept("\ufffd\x00gzip")]
)
def test_what_nobody_wants_kept_or_is_no_text_gives_way_to_the_note(shape):
    assert beside_the_owners(shape, NOTE) == NOTE
    assert launch_note(NOTE).logical_agent_id == "web"


@pytest.mark.parametrize("owners", [SCRIPT, "#cloud-config\n{}", MIME, "plain"])
def test_the_owners_data_and_the_note_are_both_found(owners):
    both = beside_the_owners(kept(owners), NOTE)
    assert launch_note(both) == launch_note(NOTE)
    assert owners_part(both) == owners
    assert note_part(both) == NOTE


@pytest.mark.parametrize("owners", [SCRIPT, MIME])
def test_a_clone_of_a_clone_carries_one_note_its_own(owners):
    first = beside_the_owners(kept(owners), NOTE.replace('"t"', '"first"'))
    second = beside_the_owners(kept(first), NOTE.replace('"t"', '"second"'))
    assert launch_note(second).enrolment_token == "second"
    assert "first" not in second
    assert owners_part(second) == owners


def test_it_is_mime_as_others_read_it():
    told = message_from_string(beside_the_owners(kept(SCRIPT), NOTE))
    script, note = told.get_payload()
    assert (script.get_content_type(), note.get_content_type()) == ("text/plain", "application/json")
    assert script.get_payload().startswith("#!/bin/sh")
    assert json.loads(note.get_payload()) == json.loads(NOTE)
