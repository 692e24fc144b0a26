"""AWS gives a notice and does not take the instance: who has let go for it serves on, and nobody else was granted."""

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.scene import Scene


def test_who_let_go_for_a_notice_that_aws_withdrew_serves_on():
    scene = Scene(executor=Executor.SERVER)
    scene.configure(autoSwitchEnabled=False)
    scene.wait(minutes=3)
    scene.force_to_spot()
    scene.until(lambda: scene.has_recorded(Step.PRUNED), minutes=90)
    old, ec2 = InstanceId(scene.agent().instance_id), scene.world.ec2
    ec2.faults.sometimes("run_instances", 1.0)
    ec2.faults.sometimes("create_fleet", 1.0)
    ec2.controls.interrupt(old)
    scene.wait(seconds=115)
    ec2.controls.withdraw_notice(old)
    scene.wait(minutes=5)
    assert scene.world.registers["web-1"].serving() == []
    scene.wait(minutes=15)
    assert scene.world.registers["web-1"].serving() == [old]
    assert scene.agent().epoch == 3
    scene.assert_no_record_lost_or_doubled()
    scene.close()
