"""Which tickets a standby does not use: each differs in one thing from the one that it would."""

from collections.abc import Callable

import msgspec
import pytest
from structlog.testing import capture_logs

from spotguard.agent.tickets import Slip
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.domain.tickets import NOTE, hash_token, seal_of
from spotguard.ports.cloud import LaunchRequest
from spotguard.ports.workload import SyncTarget
from spotguard.simulation.script import force
from tests.primacy.test_by_ticket import protected, serving

Change = Callable[[Slip], Slip]


@pytest.fixture(scope="module")
def handed():
    """A hand-over up to its delivery: the standby is cut off from nothing, but its process does not run."""
    scene = protected()
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    process = scene.world.processes[standby]
    process.stop()
    scene.aws_gives_notice()
    scene.until(lambda: process.disk.read(f"inbox/{NOTE}"), seconds=30)
    note = msgspec.json.decode(process.disk.read(f"inbox/{NOTE}"), type=Slip)
    yield scene, process, note
    scene.close()


def deliver(process, content: bytes) -> None:
    process.disk.replace(f"inbox/{NOTE}", content)
    process.agent.duties["tickets"].run(process.agent.desk.ports.clock.now())


def resealed(process, slip: Slip, **change) -> Slip:
    """As the server would have sealed it for this standby."""
    ticket = msgspec.structs.replace(slip).ticket
    ticket = type(ticket)(**{**msgspec.to_builtins(ticket), **change})
    token = process.agent.desk.enrolled().agent_token
    return msgspec.structs.replace(slip, ticket=ticket, seal=seal_of(ticket, hash_token(token)))


def test_nothing_but_the_very_ticket_is_used(handed):
    scene, process, note = handed
    word = type(note.word)(**{**_fields(note.word), "position": note.word.position + 1})
    others = {
        "another's seal": msgspec.structs.replace(note, seal=seal_of(note.ticket, hash_token("sga_other"))),
        "no seal": msgspec.structs.replace(note, seal=""),
        "an epoch that is history": resealed(process, note, epoch=note.ticket.epoch - 1),
        "another instance": resealed(process, note, to_instance="i-0123456789abcdef0"),
        "another boot": resealed(process, note, to_boot="another"),
        "another agent": resealed(process, note, agent_id="another"),
        "a pass that has not come": msgspec.structs.replace(note, word=word),
    }
    alarming = set()
    for why, slip in others.items():
        with capture_logs() as told:
            deliver(process, msgspec.json.encode(slip))
        assert process.agent.desk.primacy.held is None, why
        assert not serving(scene), why
        alarming |= {why for line in told if line["log_level"] == "error"}
    told_before = {"no seal"}  # the same words as for another's seal
    expected = {"an epoch that is history", "a pass that has not come"}
    assert alarming == others.keys() - told_before - expected
    for content in (b"", b"{}", b"[", b"\xff" * 100, msgspec.json.encode(note)[:-5]):
        deliver(process, content)
        assert process.agent.desk.primacy.held is None, content

    deliver(process, msgspec.json.encode(note))
    assert process.agent.desk.primacy.held == note.ticket.epoch
    assert serving(scene) == [process.instance_id]


def test_a_ticket_that_was_destroyed_is_never_used():
    scene = protected()
    standby = scene.ready_replica().instance_id
    process = scene.world.processes[standby]
    primary = scene.world.processes[InstanceId(scene.agent().instance_id)]
    slip = primary.agent.desk.primacy.ticket
    process.agent.desk.primacy.destroy_ticket(slip.ticket.id)
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.wait(minutes=3)
    assert not serving(scene)
    scene.world.bring_server_back()
    scene.until(lambda: serving(scene), minutes=15)
    scene.assert_no_record_lost_or_doubled()
    scene.close()


def test_a_clone_of_the_standbys_disk_uses_nothing():
    """The image carries the note and the token; the identity is another instance's (ruling B4b)."""
    scene = protected()
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    process = scene.world.processes[standby]
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    image = scene.world.ec2.create_image(standby, "a clone", {})
    scene.wait(minutes=20)
    twin = scene.world.processes[clone_of(scene.world.ec2, standby, image, lambda: scene.wait(minutes=5))]
    assert twin.disk.read(f"inbox/{NOTE}") == process.disk.read(f"inbox/{NOTE}")
    assert twin.agent.desk.primacy.held is None
    assert serving(scene) == [standby]
    scene.assert_no_record_lost_or_doubled()
    scene.close()


def test_what_an_image_of_who_took_over_brings_along_alarms_nobody():
    scene = protected()
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=60)
    scene.world.bring_server_back()
    scene.wait(minutes=40)
    scene.configure(manualReplicaEnabled=False)
    scene.wait(minutes=10)
    assert force(scene.agent().logical_agent_id, MoveKind.IMAGE, scene.world)
    scene.wait(minutes=90)
    with capture_logs() as told:
        scene.configure(manualReplicaEnabled=True)
        scene.until(scene.ready_replica, minutes=30)
    fresh = scene.ready_replica().instance_id
    assert scene.world.processes[fresh].disk.read(f"inbox/{NOTE}")
    assert [line for line in told if line.get("instance") == fresh and line["log_level"] == "error"] == []
    scene.close()


def test_a_holder_that_is_under_notice_itself_takes_nothing():
    scene = protected()
    standby = InstanceId(scene.ready_replica().instance_id)
    scene.world.take_server_away()
    scene.world.ec2.controls.interrupt(standby)
    scene.wait(seconds=5)
    scene.aws_gives_notice()
    scene.wait(seconds=100)
    assert not serving(scene)
    scene.close()


def test_what_is_delivered_twice_is_used_once():
    scene = protected()
    standby = scene.ready_replica().instance_id
    primary = scene.world.processes[InstanceId(scene.agent().instance_id)]
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    process = scene.world.processes[standby]
    epoch = process.agent.desk.primacy.held
    primary.agent.desk.ports.sync.deliver(SyncTarget(standby, ""), NOTE, process.disk.read(f"inbox/{NOTE}"))
    scene.wait(minutes=1)
    assert process.agent.desk.primacy.held == epoch
    process.agent.desk.primacy.release(epoch)
    process.wake("tickets", scene.world.clock.now())
    scene.wait(minutes=1)
    assert process.agent.desk.primacy.held is None, "an epoch that was let go of never comes back"
    scene.close()


def clone_of(ec2, instance_id, image, wait):
    machine = ec2.world.machines[instance_id]
    wish = LaunchRequest(
        token=ClientToken("somebody's clone"),
        pool=machine.pool,
        mode=Mode.ONDEMAND,
        image_id=image,
        tags={},
        user_data=machine.user_data,
    )
    clone = ec2.run_instance(wish).instance_id
    wait()
    return clone


def _fields(word):
    return {name: getattr(word, name) for name in word.__dataclass_fields__}
