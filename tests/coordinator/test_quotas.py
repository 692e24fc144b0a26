"""vCPU quotas are asked before a move, so that none is unwound with its gate closed (E8); a rescue is never stopped."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.physics import Quotas
from spotguard.domain.agents import Autonomy, Executor
from spotguard.domain.errors import NeedsPerson, Refused
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass
from spotguard.domain.switches import MoveKind
from spotguard.ports.cloud import LaunchRequest
from spotguard.store import approvals, plans
from spotguard.store.tables import agent_events, decisions, switches, vcpu_quotas
from tests.cloud.scene import QUIET
from tests.coordinator.scene import A, B, C, Scene
from tests.coordinator.test_decisions import JUMP

ONE = 2  # vCPUs of an m5.large


def limited(spot=640, ondemand=640, **more):
    """A scene whose account has these vCPUs of the standard class; the limits may be raised later."""
    limits = Quotas({QuotaClass.STANDARD: spot}, {QuotaClass.STANDARD: ondemand})
    more.setdefault("executor", Executor.SERVER)
    return Scene(settings=replace(more.pop("settings", QUIET), quotas=limits), **more)


def strangers(scene, pool=C):
    """Somebody else's machine in the same account."""
    request = LaunchRequest(ClientToken("theirs"), pool, Mode.SPOT, scene.image, {"Name": "theirs"})
    scene.mute.add(scene.ec2.run_instance(request).instance_id)


def of_class(scene, mode):
    return scene.row(vcpu_quotas, vcpu_quotas.c.quota_class == "Standard", vcpu_quotas.c.mode == mode)


@pytest.mark.parametrize("executor", list(Executor))
def test_an_image_move_that_does_not_fit_is_refused_before_its_gate_closes(executor):
    """Without a verified sync the gate closes first (B1): EC2's own refusal would come minutes after it."""
    scene = limited(spot=3 * ONE - 1, executor=executor)
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    strangers(scene)
    scene.run(60)
    numbers = (
        "spot quota of class Standard is 5 vCPUs: 2 are in use or ordered here, 2 elsewhere in the account"
    )
    with pytest.raises(
        Refused, match=f"{numbers}, and m5.large needs 2 beside them: raise the quota .*L-34B43A08"
    ):
        scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(60)
    assert scene.is_open(agent)
    assert scene.rows(switches) == []
    scene.switch(agent, None, Mode.ONDEMAND, kind=MoveKind.IMAGE)


def test_what_nobody_knows_goes_on_and_ec2_answers():
    """A look that was not permitted, and one that is older than a day."""
    scene = limited(spot=ONE)
    scene.ec2.faults.next("vcpu_quotas", NeedsPerson("AccessDeniedException"))
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    assert scene.rows(vcpu_quotas) == []
    refused_by_ec2(scene, agent)

    scene.run(600)
    old = scene.now - timedelta(hours=25)
    scene.db.write(lambda tx: tx.execute(sa.update(vcpu_quotas).values(seen_at=old)))
    refused_by_ec2(scene, agent)


def refused_by_ec2(scene, agent):
    opened = scene.switch(agent, B, kind=MoveKind.SYNCED)
    scene.run(300, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert "MaxSpotInstanceCountExceeded" in scene.move(opened.switch_id).ended_because
    assert scene.is_open(agent)


def test_what_is_ordered_is_counted_before_ec2_hears_of_it():
    scene = limited(spot=3 * ONE)
    first = scene.protect(pool=A, auto_switch_enabled=False)
    second = scene.protect("db", pool=A, auto_switch_enabled=False)
    scene.run(60)
    opened = scene.switch(first, B, kind=MoveKind.IMAGE)
    with pytest.raises(Refused, match="6 are in use or ordered here, 0 elsewhere"):
        scene.switch(second, B, kind=MoveKind.IMAGE)
    scene.run(3600, until=lambda: scene.move(opened.switch_id).status == "completed")
    scene.run(600)
    assert of_class(scene, "spot").others_vcpus == 0
    scene.switch(second, B, kind=MoveKind.IMAGE)


def test_a_standby_takes_the_rung_that_fits_and_waits_where_none_does():
    scene = limited(spot=ONE, ondemand=ONE - 1)
    agent = scene.protect(pool=A)
    scene.run(60)
    with pytest.raises(Refused, match="manual replicas are switched off"):
        scene.db.write(lambda tx: plans.create_replica(tx, scene.now, **asked(scene, agent)))
    scene.config(agent, manual_replica_enabled=True)
    scene.run(120)
    (replica,) = scene.live_replicas(agent)
    assert replica.instance_id is None
    waits = scene.rows(agent_events, agent_events.c.kind == "replica_waits")
    assert ["spot quota of class Standard" in event.message for event in waits] == [True]

    scene.ec2.quotas.ondemand[QuotaClass.STANDARD] = ONE
    scene.run(900, until=lambda: scene.live_replicas(agent)[0].status == "ready")
    assert scene.live_replicas(agent)[0].mode == "ondemand"
    assert scene.breaches() == []


def asked(scene, agent):
    return {"client_id": scene.client_id, "agent_id": agent, "created_by": "user"}


def test_a_rescue_asks_no_quota():
    scene = limited(spot=ONE)
    agent = scene.protect(pool=A)
    scene.run(60)
    lost = scene.serving(agent)
    scene.ec2.controls.interrupt(lost)
    scene.run(900, until=lambda: scene.serving(agent) != lost and scene.is_open(agent))
    assert scene.agent(agent).current_mode == "ondemand"


def test_an_escape_goes_on_demand_where_the_spot_quota_is_full_and_nowhere_where_both_are():
    scene = limited(spot=ONE, ondemand=ONE - 1, prices=JUMP)
    agent = scene.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    scene.run(2400, until=lambda: bool(refusals(scene)))
    assert "the on-demand quota of class Standard is 1 vCPUs" in refusals(scene)[-1].because
    assert scene.rows(switches) == []
    scene.ec2.quotas.ondemand[QuotaClass.STANDARD] = ONE
    scene.run(2400, until=lambda: scene.agent(agent).current_mode == "ondemand")


def test_an_escape_that_goes_on_demand_for_the_quota_can_be_approved():
    """What is asked again at the click is what was proposed: the rung that fits."""
    scene = limited(spot=ONE, prices=JUMP)
    agent = scene.protect(pool=A, min_pool_hours=0)
    scene.config(agent, autonomy=Autonomy.APPROVE.value)
    scene.run(2400, until=lambda: bool(scene.rows(decisions, decisions.c.verdict == "await_approval")))
    (asked,) = scene.rows(decisions, decisions.c.verdict == "await_approval")
    assert (asked.aim, asked.target_mode) == ("escape", "ondemand")
    shelf = scene.coordinator.ctx.shelf
    approved = scene.db.write(lambda tx: approvals.approve(tx, scene.now, scene.client_id, asked.id, shelf))
    assert scene.move(approved.move.switch_id).new_mode == "ondemand"


def refusals(scene):
    return [row for row in scene.rows(decisions) if row.verdict == "refused" and "quota" in row.because]
