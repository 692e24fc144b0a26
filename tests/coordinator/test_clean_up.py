"""Nothing of ours is lost from sight, and nothing is deleted at first sight (invariants 6 and 7)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from spotguard.domain import image_names
from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson, Throttled
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.planning.cleaning import SEEN_TWICE
from spotguard.ports.cloud import LaunchRequest
from spotguard.store import (
    leftover_report,
    moves,
    reports,
    restore_points,
    storage,
)
from spotguard.store.report_ends import End, SwitchReport
from spotguard.store.tables import (
    agent_events,
    epoch_grants,
    instances,
    metadata,
    salvages,
    storage_resources,
    switches,
)
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.strays import stray_machine, stray_volume, tags


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    return agent


def report(scene):
    return scene.db.read(lambda tx: leftover_report.report(tx, scene.now, scene.client_id))


def events(scene, kind):
    return scene.rows(agent_events, agent_events.c.kind == kind)


@pytest.mark.parametrize("stray", [stray_volume, stray_machine])
def test_what_nothing_refers_to_is_reported_within_five_minutes_and_gone_soon_after(scene, agent, stray):
    made, began = stray(scene, agent), scene.now
    scene.run(300, until=lambda: any(one.suspect_since for one in report(scene)))
    (found,) = report(scene)
    assert found.resource_id == made
    assert [e.detail["resource_id"] for e in events(scene, "leftover_found")] == [made]
    assert found.may_go_at == found.suspect_since + SEEN_TWICE
    assert "ended" in found.plan or "deleted" in found.plan
    scene.run(300, until=lambda: made not in alive(scene))
    assert scene.now - began >= SEEN_TWICE
    scene.run(600, until=lambda: report(scene) == [])  # a machine leaves its root volume
    assert scene.breaches() == []


def alive(scene):
    world = scene.ec2.inventory()
    return scene.running() | {volume.volume_id for volume in world.volumes}


def test_a_volume_is_told_with_its_price_and_its_end_with_the_reason(scene, agent):
    made = stray_volume(scene, agent)
    scene.run(300, until=lambda: report(scene) != [])
    (found,) = report(scene)
    rate = scene.ec2.storage_rates().volume_usd_per_gib_month
    assert (found.kind, found.usd_per_month) == ("volume", 50 * rate)
    scene.run(400, until=lambda: made not in alive(scene))
    (told,) = events(scene, "leftover_deleted")
    assert told.detail == {"kind": "volume", "resource_ids": [made], "because": "nothing refers to it"}


def test_what_ec2_had_no_time_for_is_asked_again_before_the_next_look_and_not_in_every_pass(scene, agent):
    made = stray_volume(scene, agent)
    scene.run(300, until=lambda: any(one.suspect_since for one in report(scene)))
    scene.ec2.faults.sometimes("delete_volume", 1.0, lambda: Throttled("RequestLimitExceeded"))
    scene.run(300)
    assert 5 <= scene.ec2.faults.injected["delete_volume:RequestLimitExceeded"] <= 7
    scene.ec2.faults.clear()
    scene.run(40, until=lambda: made not in alive(scene))
    assert made not in alive(scene)


def test_where_the_right_to_delete_is_missing_a_person_is_told_once_and_ec2_is_not_asked_more_often(
    scene, agent
):
    made = stray_volume(scene, agent)
    scene.run(300, until=lambda: any(one.suspect_since for one in report(scene)))
    scene.ec2.faults.sometimes("delete_volume", 1.0, lambda: NeedsPerson("UnauthorizedOperation"))
    scene.run(600)
    assert scene.ec2.faults.injected["delete_volume:UnauthorizedOperation"] == 5, "one for each look"
    (told,) = events(scene, "needs_person")
    assert told.detail == {"kind": "volume", "resource_id": made, "code": "UnauthorizedOperation"}
    scene.ec2.faults.clear()
    scene.run(130, until=lambda: made not in alive(scene))
    assert made not in alive(scene)


class Keeping:
    """An EC2 in which somebody else's policy protects some volumes."""

    def __init__(self, inner, kept):
        self._inner, self._kept = inner, kept

    def delete_volume(self, volume_id):
        if volume_id in self._kept:
            raise NeedsPerson("UnauthorizedOperation")
        self._inner.delete_volume(volume_id)

    def __getattr__(self, name):
        return getattr(self._inner, name)


def test_what_may_not_be_deleted_holds_up_nothing_else(scene, agent):
    """A pass deletes ten: not the same ten for ever."""
    most = scene.coordinator.ctx.settings.most_deletions_per_pass
    made = sorted(stray_volume(scene, agent, f"stray-{number}") for number in range(most + 2))
    scene.ec2 = Keeping(scene.ec2, set(made[:most]))
    scene.run(600, until=lambda: alive(scene).isdisjoint(made[most:]))
    assert alive(scene).isdisjoint(made[most:])
    assert alive(scene) >= set(made[:most])


def test_a_volume_with_which_nobody_was_ever_seen_is_kept_for_a_person(scene, agent):
    """It may hold the state of whoever had it: what nobody knows is never deleted (invariant 7)."""
    made = scene.ec2.create_volume(ClientToken("stray"), A.az, 50, tags(scene, agent))
    scene.run(1800)
    assert made in alive(scene)
    (found,) = report(scene)
    assert (found.resource_id, found.may_go_at) == (made, None)
    assert found.plan.startswith("kept until a person deletes it")
    assert [e.detail["resource_id"] for e in events(scene, "leftover_found")] == [made]
    assert scene.breaches() == []


@pytest.mark.long
def test_the_disk_of_a_dead_holder_whose_workload_came_back_from_an_image_is_kept_for_a_person(scene):
    """Its state may lie on its root: it was written since the image, and nowhere else."""
    agent = scene.protect(pool=A, state_gib=None, terminate_wait_seconds=0)
    scene.run(60)
    dead = scene.serving(agent)
    (disk,) = [v.volume_id for v in scene.ec2.inventory().volumes if v.attached_to == dead]
    scene.ec2.controls.fail_instance(dead)
    scene.run(1800, until=lambda: scene.serving(agent) != dead and scene.is_open(agent))
    assert scene.last_move(agent).kind == "image"
    scene.run(26 * 3600, until=lambda: scene.last_move(agent).status == "completed")
    scene.run(3600)
    assert disk in alive(scene)
    (kept,) = [one for one in report(scene) if one.resource_id == disk]
    assert (kept.may_go_at, told_of(scene).count(disk)) == (None, 1)
    assert f"a disk of {dead}, which died" in kept.loose_because
    assert all(word in kept.plan for word in BY_HAND)
    assert scene.breaches() == []


def stranded_volume(scene, agent, az=A.az):
    """A move took it from who served then, and came to nothing; who had it last has ended. Others serve on."""
    former = scene.serving(agent)
    opened = scene.switch(agent, B)
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "completed")
    made = scene.ec2.create_volume(ClientToken("carried"), az, 50, tags(scene, agent))
    (view,) = scene.ec2.describe_volumes([made])
    rates = scene.ec2.storage_rates()
    for holder in (former, InstanceId("i-0123456789abcdef0")):
        attached = replace(view, attached_to=holder, device="/dev/sdf")
        scene.db.write(lambda tx, shown=attached: storage.saw_volume(tx, scene.client_id, shown, rates))
    return made, former


def test_the_state_of_a_move_that_came_to_nothing_is_kept_and_a_person_is_told_once(scene, agent):
    made, former = stranded_volume(scene, agent)
    scene.run(300, until=lambda: made in told_of(scene))
    let_go = scene.row(epoch_grants, epoch_grants.c.instance_id == former).released_at
    (told,) = [e for e in events(scene, "leftover_found") if e.detail["resource_id"] == made]
    for word in (made, "50 GiB", f"the state of {former} as of {let_go:%Y-%m-%d %H:%M:%S} UTC", *BY_HAND):
        assert word in told.message
    (kept,) = [one for one in report(scene) if one.resource_id == made]
    assert (kept.may_go_at, kept.agent_id) == (None, agent)
    assert f"the state of {former}" in kept.loose_because
    assert all(word in kept.plan for word in BY_HAND)

    gate(scene, agent, GateState.CLOSED)  # nobody is proven to serve for a while
    scene.coordinator.clean_up(scene.now)
    assert made in {one.resource_id for one in report(scene)}
    scene.run(3600)
    assert made in alive(scene)
    assert told_of(scene).count(made) == 1
    assert scene.breaches() == []

    scene.ec2.delete_volume(made)
    scene.run(600, until=lambda: made not in {one.resource_id for one in report(scene)})


BY_HAND = ("aws ec2 attach-volume --region us-east-1", "aws ec2 delete-volume --region us-east-1")


def told_of(scene):
    return [e.detail["resource_id"] for e in events(scene, "leftover_found")]


def test_a_person_may_look_into_kept_state_and_it_is_kept_all_the_same(scene, agent):
    """On a machine of his own, of which SpotGuard knows nothing: the volume is his until he gives it back."""
    made, former = stranded_volume(scene, agent)
    scene.run(300, until=lambda: made in told_of(scene))
    request = LaunchRequest(
        token=ClientToken("own"), pool=A, mode=Mode.ONDEMAND, image_id=scene.image, tags={"Name": "his own"}
    )
    own = scene.ec2.run_instance(request).instance_id
    scene.mute.add(own)
    scene.run(120)
    scene.ec2.attach_volume(made, own, "/dev/sdh")
    scene.run(300, until=lambda: made not in {one.resource_id for one in report(scene)})

    scene.ec2.detach_volume(made)
    scene.run(3600)
    (kept,) = [one for one in report(scene) if one.resource_id == made]
    assert kept.may_go_at is None
    assert f"the state of {former}" in kept.loose_because


def test_what_is_shown_to_the_present_holder_for_a_look_is_not_its_state(scene, agent):
    """By hand, as docs/drills.md says: it is neither taken along nor attached again when the person takes it away."""
    made, _ = stranded_volume(scene, agent, az=B.az)
    scene.run(300, until=lambda: made in told_of(scene))
    holder = scene.serving(agent)
    scene.ec2.attach_volume(made, holder, SALVAGE_DEVICE)
    scene.run(600)
    assert made not in [row.id for row in scene.db.read(lambda tx: storage.data_volumes_of(tx, holder))]
    scene.ec2.detach_volume(made)
    scene.run(600)
    assert [view.attached_to for view in scene.ec2.describe_volumes([made])] == [None]
    assert made in {one.resource_id for one in report(scene)}
    assert told_of(scene).count(made) == 1


def test_nothing_is_deleted_while_nobody_is_proven_to_serve(scene, agent):
    scene.guests.pop(scene.agent(agent).instance_id)  # nothing is heard of it
    made = stray_volume(scene, agent)
    gate(scene, agent, GateState.CLOSED)
    scene.run(1800)
    assert made in alive(scene)
    gate(scene, agent, GateState.OPEN)
    scene.run(400, until=lambda: made not in alive(scene))


def gate(scene, agent, state):
    mine = instances.c.id == scene.agent(agent).instance_id
    scene.db.write(lambda tx: tx.execute(instances.update().where(mine).values(gate=state.value)))


def test_the_second_look_may_be_another_coordinators(scene, agent):
    """What the first has seen is in the rows, not in its memory."""
    made = stray_machine(scene, agent)
    for _ in range(4):
        scene.coordinator = scene.new_coordinator()
        scene.coordinator.clean_up(scene.now)
        assert made in scene.running()
        scene.clock.time += timedelta(seconds=15)
    scene.clock.time += timedelta(seconds=15)
    scene.new_coordinator().clean_up(scene.now)
    scene.run(60)
    assert made not in scene.running()


def test_somebody_who_is_referred_to_again_is_no_suspect(scene, agent):
    made = stray_machine(scene, agent)
    scene.run(300, until=lambda: any(one.suspect_since for one in report(scene)))
    opened = scene.switch(agent, B)
    scene.db.write(
        lambda tx: tx.execute(
            instances.update().where(instances.c.id == made).values(switch_id=opened.switch_id)
        )
    )
    scene.coordinator.clean_up(scene.now)
    assert scene.row(instances, instances.c.id == made).suspect_since is None
    assert made in scene.running()


def test_looking_at_the_report_changes_nothing(scene, agent):
    stray_volume(scene, agent)
    scene.run(120)
    before = {table.name: scene.rows(table) for table in metadata.sorted_tables}
    assert report(scene)
    assert {table.name: scene.rows(table) for table in metadata.sorted_tables} == before


@pytest.mark.parametrize("is_known", [True, False])
def test_what_a_dead_holder_left_is_kept_for_a_person_and_the_report_says_until_when(scene, agent, is_known):
    scene.config(agent, manual_replica_enabled=True)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == ["ready"])
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    if not is_known:
        scene.db.write(lambda tx: tx.execute(switches.update().values(lost_seconds=None)))
    scene.run(600)
    move = scene.last_move(agent)
    assert [one.may_go_at for one in report(scene) if "until a person deletes it" in one.plan] == [None]
    scene.db.write(lambda tx: tx.execute(salvages.update().values(status="offered", files=3, bytes=10)))
    (kept,) = [one for one in report(scene) if "kept for a person" in one.plan]
    assert kept.may_go_at == move.created_at + timedelta(hours=24)
    assert (str(move.lost_seconds) if is_known else "nobody knows how many") in kept.loose_because
    scene.run(3600)
    assert kept.resource_id in alive(scene)


def test_a_move_tells_what_it_deleted(scene, agent):
    opened = scene.switch(agent, B)
    old = scene.serving(agent)
    scene.run(1200, until=lambda: scene.move(opened.switch_id).status == "completed")
    told = events(scene, "leftover_deleted")
    gone = scene.rows(storage_resources, storage_resources.c.ended_at.is_not(None))
    assert {one for e in told for one in e.detail["resource_ids"]} == {row.id for row in gone} != set()
    assert {e.detail["because"] for e in told} == {f"the old instance {old} of a finished move left it"}


def test_a_restore_point_that_may_go_is_in_the_report_with_what_its_snapshots_cost(scene, agent):
    scene.config(agent, restore_point_hours=1, restore_points_kept=1)
    scene.run(5 * 3600, until=lambda: events(scene, "leftover_deleted") != [])
    assert all("restore point" in e.detail["because"] for e in events(scene, "leftover_deleted"))
    images = scene.ec2.describe_images(tags=tags(scene, agent, "restore"))
    assert len(images) >= 1, "the last one stays"
    totals = [one.usd_per_month for one in report(scene)]
    assert all(usd is None or usd >= Decimal(0) for usd in totals)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {MANAGED_TAG: "another installation"},
        {CLIENT_TAG: "another client"},
        {AGENT_TAG: "another agent"},
        {ADOPTED_TAG: "another agent", AGENT_TAG: "another agent"},
    ],
    ids=["untagged", "installation", "client", "agent", "handed over to another"],
)
def test_a_strangers_machine_that_an_agent_names_is_never_ended(change):
    scene = Scene(executor=Executor.AGENT)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    marks = {**tags(scene, agent), **change} if change else {"Name": "somebody's own database"}
    request = LaunchRequest(
        token=ClientToken("own"), pool=B, mode=Mode.ONDEMAND, image_id=scene.image, tags=marks
    )
    stranger = scene.ec2.run_instance(request).instance_id
    scene.mute.add(stranger)
    opened, old = scene.switch(agent, B), scene.serving(agent)
    told = SwitchReport(switch_id=opened.switch_id, old=End(old), new=End(stranger))

    def name_it(tx):
        reports.apply_switch_report(
            tx, scene.now, client_id=scene.client_id, agent_id=agent, instance_id=old, report=told
        )
        moves.unwind(tx, scene.now, opened.switch_id, "its agent refused")

    scene.db.write(name_it)
    scene.run(900)
    assert stranger in scene.running()
    assert len(events(scene, "not_ours_to_end")) == 1


def test_a_server_that_was_not_handed_over_runs_on_after_its_move():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0, handed_over=False)
    scene.run(30)
    old, opened = scene.serving(agent), scene.switch(agent, B)
    scene.run(
        1800, until=lambda: scene.row(switches, switches.c.id == opened.switch_id).status == "completed"
    )
    assert old in scene.running()
    assert scene.move(opened.switch_id).old_terminated_at is None
    assert scene.breaches() == []


def test_a_snapshot_that_shows_later_than_its_image_belongs_to_it_all_the_same(scene, agent):
    name = image_names.of_restore_point(agent, scene.now)
    image = scene.ec2.create_image(scene.serving(agent), name, tags(scene, agent, restore_points.PURPOSE))
    late = max(scene.ec2.world.images[image].snapshots.values())
    scene.ec2.world.snapshots[late].visible_at = scene.now + timedelta(minutes=4)
    scene.run(600)
    (row,) = scene.rows(storage_resources, storage_resources.c.id == late)
    assert (row.image_id, row.suspect_since) == (image, None)
