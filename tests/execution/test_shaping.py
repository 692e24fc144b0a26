"""A clone keeps what its original had; what EC2 makes otherwise is noticed."""

from dataclasses import replace

import pytest

from spotguard.domain.errors import Doubtful, NeedsPerson, NotVisible
from spotguard.execution.launching import Launched, NotYet, Stopped
from spotguard.execution.shaping import made_otherwise, shape_of
from spotguard.ports.shape import USER_DATA_TAG, MetadataOptions, Shape, UserDataPolicy
from tests.cloud.scene import TAGS, A
from tests.execution.cloud import Launching

OURS = Shape(
    metadata=MetadataOptions(hop_limit=2),
    security_groups=("sg-1", "sg-2"),
    key_name="key",
    instance_profile="arn:aws:iam::123456789012:instance-profile/web",
    owner_tags={"Name": "web", "team": "shop"},
)


def beside_his():
    """In an account that has the owner's security groups."""
    scene = Launching(A)
    for group in OURS.security_groups:
        scene.ec2.controls.make_group(group)
    return scene


def launched(scene, shape):
    result = scene.go(shape=lambda: shape)
    assert isinstance(result, Launched)
    return result.instance


def test_the_clone_is_launched_in_the_shape_of_its_original():
    scene = beside_his()
    view = launched(scene, OURS)
    found = scene.ec2.describe_shape(view.instance_id)
    assert (found.metadata, found.security_groups, found.key_name) == (
        OURS.metadata,
        OURS.security_groups,
        OURS.key_name,
    )
    assert view.tags.items() >= {**TAGS, "Name": "web", "team": "shop"}.items()
    assert made_otherwise(scene.ec2, scene.intentions.known, view.instance_id) == ()


def test_ours_are_kept_of_more_tags_than_ec2_lets_it_have():
    scene = beside_his()
    view = launched(scene, replace(OURS, owner_tags={f"tag-{n:02}": "x" for n in range(50)}))
    assert view.tags.items() >= TAGS.items()
    assert len(view.tags) == 50
    (told,) = {tuple(made_otherwise(scene.ec2, scene.intentions.known, view.instance_id))}
    assert "tag tag-49 is missing" in told


def test_the_owners_wish_for_his_user_data_is_inherited():
    scene = beside_his()
    view = launched(scene, replace(OURS, user_data_policy=UserDataPolicy.KEEP, user_data="#!/bin/sh\n"))
    assert view.tags[USER_DATA_TAG] == "keep"
    scene.wait(10)
    assert "#!/bin/sh" in scene.ec2.metadata(view.instance_id).user_data()


def test_the_same_token_is_asked_with_the_same_shape_whatever_has_changed_since():
    scene = beside_his()
    scene.ec2.faults.next("run_instance", Doubtful("RequestTimeout"))
    assert isinstance(scene.go(shape=lambda: OURS), NotYet)
    scene.wait(5)
    view = launched(scene, replace(OURS, key_name="another"))
    assert scene.ec2.describe_shape(view.instance_id).key_name == "key"
    assert len(scene.made()) == 1


@pytest.mark.parametrize(
    ("error", "answer"),
    [(Doubtful("RequestTimeout"), NotYet), (NeedsPerson("UnauthorizedOperation"), Stopped)],
)
def test_without_the_originals_shape_nothing_is_launched(error, answer):
    scene = beside_his()
    original = scene.running()
    scene.ec2.faults.next("describe_shape", error)
    result = scene.go(shape=lambda: shape_of(scene.ec2, original, urgent=False))
    assert isinstance(result, answer)
    assert scene.intentions.known == []


def test_in_an_emergency_a_plain_instance_is_better_than_none():
    scene = beside_his()
    original = scene.running()
    scene.ec2.faults.next("describe_shape", NeedsPerson("UnauthorizedOperation"))
    result = scene.go(shape=lambda: shape_of(scene.ec2, original, urgent=True))
    assert isinstance(result, Launched)


def test_what_ec2_made_otherwise_is_told():
    scene = beside_his()
    view = launched(scene, OURS)
    (attempt,) = scene.intentions.known
    wanted = [replace(attempt, shape=replace(OURS, key_name="another"))]
    assert made_otherwise(scene.ec2, wanted, view.instance_id) == ("key_name is key, not another",)
    scene.ec2.faults.next("describe_shape", NotVisible("InvalidInstanceID.NotFound"))
    assert made_otherwise(scene.ec2, wanted, view.instance_id) == ()
