"""Presence: per instance; only the holder of the epoch speaks for the agent (ruling S15)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.epochs import Proof
from spotguard.store import grants
from spotguard.store.tables import agent_events, agents, epoch_grants, instances, switch_steps
from tests.api.world import Machine, Tenant, World


def test_the_reply_is_the_servers_truth(world: World, web: Machine):
    world.command(web)
    reply = web.heartbeat(epoch=7, gate="open", workload_healthy=True)
    assert reply.body == {
        "config_version": web.reply["config"]["config_version"],
        "commands_pending": 1,
        "role": "primary",
        "epoch": 1,
        "server_time": "2026-03-01T12:00:00.000000Z",
        "ticket": None,
        "destroy_ticket": None,
    }


def test_a_passive_instances_heartbeat_hides_nothing(world: World, acme: Tenant, web: Machine):
    clone = world.register(acme, "web", letter="b")
    world.clock.pass_seconds(300)
    reply = clone.heartbeat()
    assert (reply.body["role"], reply.body["epoch"]) == ("passive", 1)
    agent = acme.agent(web)
    assert agent["instanceId"] == web.id
    assert agent["health"] == "silent"
    assert agent["lastHeartbeatAt"] == "2026-03-01T12:00:00.000000Z"


def test_health_is_counted_in_a_row(world: World, web: Machine):
    def streak() -> int:
        return world.rows(instances, instances.c.id == web.id)[0].healthy_streak

    for count in (1, 2, 3):
        web.heartbeat(gate="open", workload_healthy=True)
        assert streak() == count
    for broken in (
        {"gate": "open", "workload_healthy": False},
        {"gate": "closed", "workload_healthy": True},
        {},
    ):
        web.heartbeat(gate="open", workload_healthy=True)
        web.heartbeat(**broken)
        assert streak() == 0


def test_the_specifications_body_is_enough(web: Machine, acme: Tenant):
    reply = web.post(
        "heartbeat",
        {"status": "online", "instance_id": web.id, "mode": "spot", "pool_id": "t3.medium.ap-south-1a"},
    )
    assert reply.status == 200
    assert acme.agent(web)["health"] == "unknown", "nobody said whether the workload is healthy"


def test_who_was_offline_is_online_again_and_people_are_told(world: World, acme: Tenant, web: Machine):
    world.write(lambda tx: tx.execute(sa.update(agents).values(status="offline")))
    web.heartbeat()
    assert acme.agent(web)["status"] == "online"
    assert world.rows(agent_events, agent_events.c.kind == "agent_online")


@pytest.mark.parametrize("status", ["switching", "deleted"])
def test_a_heartbeat_never_changes_switching_or_deleted(world: World, web: Machine, status: str):
    world.write(lambda tx: tx.execute(sa.update(agents).values(status=status)))
    world.clock.pass_seconds(60)
    assert web.heartbeat().status == 200
    (row,) = world.rows(agents)
    assert row.status == status
    if status == "deleted":
        assert row.last_heartbeat_at < world.clock.now(), "it is not resurrected"


def test_a_deleted_agents_workload_is_left_serving(acme: Tenant, web: Machine):
    acme.call("DELETE", f"/agents/{web.agent_id}")
    reply = web.heartbeat(gate="open", workload_healthy=True)
    assert (reply.body["role"], reply.body["epoch"]) == ("primary", 1)


def test_serving_without_the_epoch_is_told_at_once(world: World, acme: Tenant, web: Machine):
    clone = world.register(acme, "web")
    world.clock.pass_seconds(60)
    for _ in range(3):
        clone.heartbeat(gate="open")
    assert len(world.rows(agent_events, agent_events.c.kind == "gate_open_without_epoch")) == 1
    assert "one primary" in " ".join(acme.get("/health")["invariants"]["broken"])


def test_a_release_is_heard_from_the_heartbeat_when_its_report_is_lost(
    world: World, acme: Tenant, web: Machine
):
    assert web.heartbeat(released=0).body["role"] == "primary"
    assert web.heartbeat(released=1).body["role"] == "passive"
    (grant,) = world.rows(epoch_grants)
    assert grant.released_at == world.clock.now()
    world.clock.pass_seconds(60)
    web.heartbeat(released=1)
    assert world.rows(epoch_grants)[0].released_at < world.clock.now(), "once"
    (event,) = world.rows(agent_events, agent_events.c.kind == "released_after_unwind")
    assert "nobody serves" in event.message


def test_the_release_of_the_heartbeat_is_a_step_of_the_move_under_way(world: World, moving: Machine):
    moving.next_command()
    moving.heartbeat(released=1)
    assert "released" in [row.step for row in world.rows(switch_steps)]


def test_nobody_lets_go_of_an_epoch_that_another_holds(world: World, acme: Tenant, web: Machine):
    clone = world.register(acme, "web", letter="b")
    assert clone.heartbeat(released=9).body["role"] == "passive"
    assert world.rows(epoch_grants)[0].released_at is None


def test_a_holder_that_let_go_is_passive(world: World, moving: Machine):
    told = {
        "switch_id": moving.next_command()["payload"]["switch_id"],
        "timing": {"released_at": world.ago(1)},
    }
    assert moving.post("switch-report", told).status == 200
    reply = moving.heartbeat()
    assert (reply.body["role"], reply.body["epoch"]) == ("passive", 1)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"instance_id": "i-00000000000000099"}, 403),
        ({"mode": "ondemand"}, 422),
        ({"pool_id": "t3.medium.ap-south-1b"}, 422),
        ({"pool_id": "nonsense"}, 422),
        ({"status": "asleep"}, 422),
        ({"gate": "ajar"}, 422),
        ({"epoch": -1}, 422),
        ({"released": -1}, 422),
        ({"released": "all"}, 422),
        ({"epoch": 10**30}, 422),
        ({"workload_healthy": "yes"}, 422),
    ],
)
def test_what_cannot_be_is_refused(world: World, web: Machine, change: dict, status: int):
    world.clock.pass_seconds(60)
    assert web.heartbeat(**change).status == status
    assert world.rows(instances)[0].last_heartbeat_at < world.clock.now(), "nothing half-applied"


def test_ondemand_has_no_spot_pool(world: World, acme: Tenant):
    machine = world.register(acme, "db", mode="on-demand")
    machine.mode = "ondemand"
    assert machine.heartbeat(pool_id="t3.medium.ap-south-1a").status == 200
    agent = acme.agent(machine)
    assert (agent["currentMode"], agent["currentPoolId"]) == ("ondemand", None)


def test_whether_it_can_sync_is_what_was_said_last(world: World, acme: Tenant, web: Machine):
    def told() -> bool | None:
        return world.rows(instances, instances.c.id == web.id)[0].can_sync

    assert told() is None, "an agent that does not say is taken at its former word: none"
    web.heartbeat(can_sync=False)
    assert told() is False
    web.heartbeat()
    assert told() is False
    web.heartbeat(can_sync=True)
    assert told() is True
    other = world.register(acme, "db", can_sync=False)
    assert world.rows(instances, instances.c.id == other.id)[0].can_sync is False
    assert web.heartbeat(can_sync="no").status == 422


def test_whether_its_state_lies_on_its_root_is_what_was_said_last(world: World, acme: Tenant, web: Machine):
    def told() -> bool | None:
        return world.rows(instances, instances.c.id == web.id)[0].state_on_root

    assert told() is None
    web.heartbeat(state_on_root=True)
    web.heartbeat()
    assert told() is True
    web.heartbeat(state_on_root=False)
    assert told() is False
    other = world.register(acme, "db", state_on_root=True)
    assert world.rows(instances, instances.c.id == other.id)[0].state_on_root is True


def test_on_which_volumes_its_state_lies_is_what_was_said_last_by_this_boot(
    world: World, acme: Tenant, web: Machine
):
    def told() -> str | None:
        return world.rows(instances, instances.c.id == web.id)[0].state_volumes

    assert told() is None
    web.heartbeat(state_volumes=["vol-0bbbbbbbbbbbbbbbb", "vol-0aaaaaaaaaaaaaaaa"])
    web.heartbeat()
    assert told() == "vol-0aaaaaaaaaaaaaaaa,vol-0bbbbbbbbbbbbbbbb"
    for nonsense in (["vol-1,vol-2"], ["vol-0aaaaaaaaaaaaaaaa\n"], ["vol-0aaaaaaaaaaaaaaaa"] * 41):
        assert web.heartbeat(state_volumes=nonsense).status == 422
    web.heartbeat(state_volumes=[])
    assert told() == "", "it has said that it cannot"
    world.register(acme, "web", number=1, boot_id="another")
    assert told() is None


class _Stopped:
    """An on-demand holder that somebody stopped: EC2 has shown it, and another instance was granted the epoch."""

    def __init__(self, world: World, tenant: Tenant):
        self.world, self.tenant = world, tenant
        self.old = world.register(tenant, "web", mode="ondemand")
        self.old.heartbeat(gate="open", workload_healthy=True)
        self.next = world.register(tenant, "web", letter="b")
        world.clock.pass_seconds(10)
        self.looked("stopped")
        self.heard_at = world.clock.now() - timedelta(seconds=10)

    def looked(self, state: str, *, hibernates: bool = False) -> None:
        told = {"ec2_state": state, "seen_at": self.world.clock.now(), "hibernates": hibernates}
        shown = sa.update(instances).where(instances.c.id == self.old.id).values(**told)
        self.world.write(lambda tx: tx.execute(shown))

    def succeeded(self) -> None:
        granted = self.world.write(
            lambda tx: grants.grant(
                tx,
                self.world.clock.now(),
                agent_id=self.old.agent_id,
                seen_epoch=1,
                to_instance=self.next.id,
                proof=Proof.DEAD,
                switch_id=None,
                because="the former holder is stopped",
            )
        )
        assert granted
        self.world.clock.pass_seconds(30)

    def row(self):
        return self.world.rows(instances, instances.c.id == self.old.id)[0]

    def broken(self) -> list[str]:
        return self.tenant.get("/health")["invariants"]["broken"]


@pytest.fixture
def stopped(world: World, acme: Tenant) -> _Stopped:
    return _Stopped(world, acme)


def test_what_a_stopped_instance_said_before_its_end_and_arrives_after_it_is_no_presence(stopped: _Stopped):
    stopped.succeeded()
    late = stopped.old.heartbeat(gate="open", workload_healthy=True)
    assert (late.body["role"], late.body["epoch"]) == ("passive", 2)
    assert stopped.row().last_heartbeat_at == stopped.heard_at
    assert stopped.broken() == []


def test_a_late_word_of_a_dead_holder_does_not_make_its_agent_online(world: World, stopped: _Stopped):
    world.write(lambda tx: tx.execute(sa.update(agents).values(status="offline")))
    stopped.old.heartbeat(gate="open", workload_healthy=True)
    (agent,) = world.rows(agents)
    assert (agent.status, agent.last_heartbeat_at) == ("offline", stopped.heard_at)


def test_a_late_word_still_tells_that_its_epoch_was_released(world: World, stopped: _Stopped):
    assert stopped.old.heartbeat(gate="closed", released=1).body["role"] == "passive"
    assert world.rows(epoch_grants)[0].released_at == world.clock.now()


def test_one_that_may_hibernate_is_heard_as_soon_as_it_wakes(world: World, stopped: _Stopped):
    """Its stop ends no run: it serves on before a look shows that it runs again."""
    stopped.looked("stopped", hibernates=True)
    world.clock.pass_seconds(30)
    stopped.old.heartbeat(gate="open")
    assert stopped.row().last_heartbeat_at == world.clock.now()


def test_who_serves_without_the_epoch_is_told_as_soon_as_ec2_shows_that_it_runs(stopped: _Stopped):
    """Whatever its stop was taken for."""
    stopped.succeeded()
    stopped.looked("running")
    stopped.old.heartbeat(gate="open")
    assert "one primary" in " ".join(stopped.broken())


def test_one_that_looks_do_not_show_any_more_is_heard_on(world: World, stopped: _Stopped):
    """That EC2 does not show it counts as its end after a while; a word of it says otherwise."""
    absent = {"ec2_state": "terminated", "absent_since": world.clock.now()}
    world.write(
        lambda tx: tx.execute(sa.update(instances).where(instances.c.id == stopped.old.id).values(**absent))
    )
    world.clock.pass_seconds(30)
    stopped.old.heartbeat(gate="open")
    assert stopped.row().last_heartbeat_at == world.clock.now()


def test_started_again_it_is_heard_before_a_look_shows_it(world: World, acme: Tenant, stopped: _Stopped):
    stopped.succeeded()
    again = world.register(acme, "web", number=1, mode="ondemand", boot_id="another")
    world.clock.pass_seconds(30)
    again.heartbeat(gate="open")
    assert stopped.row().last_heartbeat_at == world.clock.now()
    assert "one primary" in " ".join(stopped.broken())


def test_what_its_former_boot_said_of_the_gate_is_not_the_new_ones(
    world: World, acme: Tenant, stopped: _Stopped
):
    """Its registration arrives, its heartbeats do not yet: nobody knows the gate, and it came up closed."""
    stopped.succeeded()
    world.register(acme, "web", number=1, mode="ondemand", boot_id="another")
    row = stopped.row()
    assert (row.gate, row.workload_healthy, row.healthy_streak) == (None, None, 0)
    assert row.last_heartbeat_at == world.clock.now()
    assert stopped.broken() == []


def test_why_its_workload_does_not_open_is_told_to_people_once_an_hour(
    world: World, acme: Tenant, web: Machine
):
    def told() -> list[str]:
        return [row.message for row in world.rows(agent_events, agent_events.c.kind == "workload_stuck")]

    clone = world.register(acme, "web", letter="b")
    clone.heartbeat(workload_stuck="of no account: it serves nothing")
    for _ in range(3):
        web.heartbeat(gate="closed", workload_stuck="nothing is mounted\nat /srv: mount it")
    assert told() == ["nothing is mounted at /srv: mount it"]
    world.clock.pass_seconds(3700)
    web.heartbeat(gate="closed", workload_stuck="nothing is mounted\nat /srv: mount it")
    assert len(told()) == 2
