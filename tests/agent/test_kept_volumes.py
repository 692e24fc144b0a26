"""Where the agent calls EC2, its instance's volumes outlive it, whether or not a server looks."""

from spotguard.domain.errors import Throttled
from tests.agent.stage import Stage


def dying(stage, instance_id):
    (view,) = stage.ec2.describe_instances([instance_id])
    return {volume.device for volume in view.volumes if volume.delete_on_termination}


def test_the_root_too_is_kept_after_the_server_has_had_its_chance():
    stage = Stage()
    primary = stage.primary()
    root = dying(stage, primary.instance_id)
    assert root
    stage.run(240)
    assert dying(stage, primary.instance_id) == root, "a server may still want to note its owner's wish"
    stage.run(180)
    assert dying(stage, primary.instance_id) == set()


def test_what_ec2_did_not_do_is_asked_for_again():
    stage = Stage()
    primary = stage.primary()
    stage.ec2.faults.next("keep_volumes", Throttled("RequestLimitExceeded"))
    stage.run(300)
    assert dying(stage, primary.instance_id)
    stage.run(120)
    assert dying(stage, primary.instance_id) == set()


def test_an_agent_without_ec2_leaves_it_to_the_server():
    stage = Stage()
    primary = stage.primary()
    primary.cloud = None
    primary.restart()
    stage.run(600)
    assert dying(stage, primary.instance_id)
