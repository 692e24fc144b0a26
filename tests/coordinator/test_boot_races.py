"""Another boot registers between what a transaction has read of an instance and what it writes of it (MariaDB)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.instances import Mode
from spotguard.store import agents as agent_rows
from spotguard.store.tables import epoch_grants, instances
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered


class HeldUp:
    """EC2 whose answer about one instance arrives after that was started again."""

    def __init__(self, scene, machine):
        self._ec2, self._scene, self._machine, self.started = scene.ec2, scene, machine, False

    def describe_instances(self, *asked, **more):
        shown = self._ec2.describe_instances(*asked, **more)
        if not self.started and any(view.instance_id == self._machine for view in shown):
            self._scene.clock.time += timedelta(seconds=60)
            self._ec2.controls.start(self._machine)
            self._scene.clock.time += timedelta(seconds=60)
            self.started = True
        return shown

    def __getattr__(self, name):
        return getattr(self._ec2, name)


def meanwhile(engine, beginning, machine, work, when=lambda: True):
    """`work` is done by somebody else right before the first statement that begins so and writes this machine's row."""
    left = iter([1])

    def look(_connection, _cursor, statement, parameters, *_):
        if statement.startswith(beginning) and machine in str(parameters) and when() and next(left, None):
            work()

    sa.event.listen(engine, "before_cursor_execute", look)
    return lambda: sa.event.remove(engine, "before_cursor_execute", look)


def test_a_look_of_before_its_start_proves_no_death_of_the_boot_that_registers_meanwhile(mariadb_database):
    scene = Scene(executor=Executor.SERVER, db=mariadb_database)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(600, until=lambda: ready(scene, agent) is not None)
    old = scene.serving(agent)
    scene.guests.pop(old)
    scene.mute.add(old)
    scene.ec2.controls.stop(old)
    scene.clock.time += timedelta(seconds=60)
    late, given = HeldUp(scene, old), []

    def comes_up():
        token = registered(scene, old, "2")
        given.append(scene.db.read(lambda tx: agent_rows.caller_of_token(tx, scene.now, token)))

    coordinator = scene.coordinator
    coordinator.ctx.clouds = lambda _client: late
    done = meanwhile(mariadb_database.engine, "UPDATE instances", old, comes_up, lambda: late.started)
    coordinator.run_pass()
    done()
    (told,) = given
    assert (agent_rows.role_of(told), told.epoch) == ("primary", 2), "it was told to serve, and opens"
    grants = [(g.epoch, g.instance_id, g.proof) for g in scene.rows(epoch_grants)]
    assert scene.ec2.describe_instances([old])[0].state == "running"
    assert scene.serving(agent) == old, grants


def test_a_registration_of_a_boot_that_is_over_does_not_shut_out_the_one_that_serves(mariadb_database):
    scene = Scene(executor=Executor.SERVER, db=mariadb_database)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(60)
    old = scene.serving(agent)
    scene.guests.pop(old)
    tokens = []
    done = meanwhile(
        mariadb_database.engine, "UPDATE instances", old, lambda: tokens.append(registered(scene, old, "2"))
    )
    with pytest.raises(Refused, match="this boot of the instance is over"):
        registered(scene, old, "1")  # held back on its way: of the boot before
    done()
    caller = scene.db.read(lambda tx: agent_rows.caller_of_token(tx, scene.now, tokens[0]))
    row = scene.row(instances, instances.c.id == old)
    registered(scene, old, "2")  # its agent is answered 401, and registers anew
    assert (row.boot_id, caller is not None) == ("2", True)
