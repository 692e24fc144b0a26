"""From when on a holder served is not taken from its own clock, which may be behind."""

from dataclasses import asdict
from datetime import timedelta

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.planning.metering import EntryKind
from spotguard.store import reports
from spotguard.store.report_ends import SwitchReport
from spotguard.store.tables import ledger_entries
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_ledger import entries, recomputed, settled


def test_an_hour_in_which_nobody_served_saves_nothing_although_the_next_holder_tells_an_older_time():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(2 * 3600)
    old = scene.serving(agent)
    scene.dry_up()
    scene.guests.pop(old)
    died_at = scene.now
    scene.ec2.controls.fail_instance(old)
    scene.run(3600)
    scene.end_drought()
    scene.run(7200, until=lambda: scene.serving(agent) != old)
    away = (scene.now - died_at).total_seconds()
    new = scene.serving(agent)
    two_hours_behind = SwitchReport(
        switch_id=scene.last_move(agent).id, timing={Step.OPENED: scene.now - timedelta(hours=2)}
    )
    scene.db.write(
        lambda tx: reports.apply_switch_report(
            tx,
            scene.now,
            client_id=scene.client_id,
            agent_id=agent,
            instance_id=new,
            report=two_hours_behind,
        )
    )
    scene.run(600)
    settled(scene)
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]
    compared = sum(
        float(row.quantity) for row in scene.rows(ledger_entries) if row.kind == EntryKind.ONDEMAND.value
    )
    span = (scene.now - scene.agent(agent).installed_at).total_seconds()
    assert span - compared > away - 300
