"""Whose an image is, by its name and when it was made."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.domain import image_names

AGENT = "8c94a12e-632c-4393-8ef8-54a16fbac989"
AT = datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("later", [timedelta(seconds=0), timedelta(seconds=2), timedelta(minutes=-5)])
def test_a_restore_point_says_when_it_was_made_and_was_made_then(later):
    name = image_names.of_restore_point(AGENT, AT)
    assert image_names.is_of_restore_point(name, AGENT, AT + later)


@pytest.mark.parametrize(
    ("name", "made_at"),
    [
        (image_names.of_restore_point(AGENT, AT), AT + timedelta(hours=3)),
        (image_names.of_restore_point("another", AT), AT),
        (f"spotguard-restore-{AGENT}-20261399T99", AT),
        (f"spotguard-restore-{AGENT}-20260105T23-kept", AT),
        ("my own backup", AT),
    ],
    ids=["a later copy", "another agent's", "no time", "renamed", "its owner's"],
)
def test_anything_else_is_none(name, made_at):
    assert not image_names.is_of_restore_point(name, AGENT, made_at)


def test_a_moves_image_bears_its_switch_and_that_of_an_agent_by_itself_its_instance_and_epoch():
    assert image_names.is_of_move(image_names.of_move("a-switch"), "a-switch")
    assert image_names.is_of_move(image_names.of_move("i-0123456789abcdef0-7"), None)
    assert not image_names.is_of_move(image_names.of_move("a-switch"), "another")
    assert not image_names.is_of_move(image_names.of_move("anything"), None)
