"""The runs can fail: without one action of the policy a move comes to nothing."""

import pytest

from tests.iam.scene import enforced


@pytest.mark.long
@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("ec2:RunInstances", "synced"),
        ("ec2:AttachVolume", "volume"),
        ("ec2:DetachVolume", "volume"),
        ("ec2:CreateImage", "image"),
        ("ec2:TerminateInstances", "synced"),
        ("ec2:DeleteVolume", "synced"),
    ],
)
def test_the_move_does_not_come_through(action, kind):
    with enforced(lacking=(action,)) as scene:
        scene.configure(terminateWaitSeconds=0)
        scene.move("web-1", kind)
        scene.until(lambda: scene.witness.refused, minutes=20)
        scene.wait(minutes=3)
        assert not scene.is_through("web-1")
        assert {request.action for _, request in scene.witness.refused} == {action}


def test_with_all_of_them_it_does():
    with enforced() as scene:
        scene.configure(terminateWaitSeconds=0)
        scene.move("web-1", "synced")
        scene.until(lambda: scene.is_through("web-1"), minutes=20)
