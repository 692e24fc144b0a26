"""Another coordinator writes an older look over a newer one and ends: who has seen the newer one writes it again."""

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.store import sightings, storage
from spotguard.store.tables import instances, storage_resources, switches
from tests.coordinator.scene import A, Scene


@pytest.mark.parametrize("written_over", [False, True])
def test_a_recovery_takes_the_newest_restore_point_whoever_wrote_over_its_completion(written_over):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(
        pool=A, mode=Mode.ONDEMAND, state_gib=None, restore_point_hours=1, restore_drill_days=0
    )
    old = scene.serving(agent)
    of_it = sa.update(instances).where(instances.c.id == old)
    scene.db.write(lambda tx: tx.execute(of_it.values(state_on_root=True)))
    scene.run(1800, until=lambda: len(scene.restore_points(agent)) == 1)
    images = storage_resources.c.kind == "image"
    scene.run(4000, until=lambda: len(scene.rows(storage_resources, images)) == 2)
    newest = max(scene.rows(storage_resources, images), key=lambda row: row.created_at).id
    older = scene.ec2.describe_images([newest])[0]
    assert older.state == "pending"
    scene.run(1800, until=lambda: len(scene.restore_points(agent)) == 2)
    if written_over:
        scene.db.write(lambda tx: storage.saw_image(tx, scene.client_id, older))
        scene.run(300)
    scene.ec2.controls.fail_instance(old)
    scene.run(600, until=lambda: any(row.is_recovery for row in scene.rows(switches)))
    assert scene.last_move(agent).plan["image_id"] == newest


def test_a_stop_that_an_older_look_wrote_over_is_written_again():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(120)
    old = scene.serving(agent)
    older = scene.ec2.describe_instances(
        [old]
    )  # another coordinator's look, held up before it is written down
    scene.guests.pop(old)
    scene.ec2.controls.stop(old)
    scene.run(60, until=lambda: any(row.is_recovery for row in scene.rows(switches)))
    assert scene.row(instances, instances.c.id == old).ec2_state == "stopped"
    scene.db.write(lambda tx: sightings.saw(tx, scene.now, scene.client_id, older))
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))


@pytest.mark.parametrize("written_over", [False, True])
def test_a_volume_that_is_missing_is_brought_back_whoever_wrote_over_it(written_over):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(300)
    old = scene.serving(agent)
    volume = scene.volume_at(old)
    older = scene.ec2.describe_volumes([volume])[0]
    scene.ec2.detach_volume(volume)
    row = lambda: scene.row(storage_resources, storage_resources.c.id == volume)  # noqa: E731
    scene.run(300, until=lambda: row().attached_to is None)
    if written_over:
        scene.db.write(lambda tx: storage.saw_volume(tx, scene.client_id, older, None))
    scene.run(1500, until=lambda: scene.holder_of(volume) == old)
