"""The shipped agent and the shipped control plane: a whole move of each kind, and both ends of a notice."""

from datetime import timedelta

import pytest

from spotguard.api.app import create_app
from spotguard.api.direct import DirectLink
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Autonomy, Executor
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.errors import ServerAway
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.switches import PLANNED_STEPS, MoveKind, Step, Trigger
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store import moves, plans, tenants
from spotguard.store.tables import agents, commands, replica_instances, switches
from tests.agent.stage import Host, Stage
from tests.cloud.scene import A, B


class Bells:
    """A wake-up that rings at the hosts of a stage."""

    def __init__(self, stage):
        self.stage = stage

    def coordinator(self):
        self.stage.pass_at = self.stage.clock.now()

    def agent(self, instance_id):
        host = self.stage.hosts.get(instance_id)
        if host is not None and host.agent is not None:
            host.due["commands"] = self.stage.clock.now()


class Line:
    """The link, which a story may cut."""

    def __init__(self, app):
        self.direct, self.away = DirectLink(app), False

    def call(self, method, path, **more):
        if self.away:
            raise ServerAway("the network is cut")
        reply = self.direct.call(method, path, **more)
        if reply.status >= 500:
            raise AssertionError(f"{method} {path}: {reply}")
        return reply


class ServedStage(Stage):
    """A stage with the real API, database and coordinator."""

    def __init__(self, executor=Executor.AGENT, *, server_has_ec2=True):
        super().__init__()
        self.db = TroubledDatabase.fresh()
        bells = Bells(self)
        settings = ApiSettings(new_agent_autonomy=Autonomy.RECOMMEND)
        app = create_app(self.db, self.clock, bells, settings=settings, offload=inline)
        self.server = Line(app)
        self.coordinator = Coordinator(
            self.db,
            lambda _client: self.ec2 if server_has_ec2 else None,
            self.clock,
            CoordinatorSettings(),
            bells,
        )
        self.client_id, self.client_token = self.db.write(
            lambda tx: tenants.create_client(tx, self.clock.now(), "story", executor=executor)
        )
        self.pass_at = self.clock.now()

    def primary(self, **more):
        instance_id = self.launch(**more)
        self.wait(10)
        host = self.hosts[instance_id] = Host(self, instance_id, installed_as="web")
        self.run(120)
        machine = self.ec2._world.machines[instance_id]
        machine.tags, machine.view = {**machine.tags, ADOPTED_TAG: self.agent().id}, None
        assert self.register.serving() == [instance_id]
        return host

    def promote(self, replica):
        """Its user's click."""
        self.db.write(
            lambda tx: plans.promote(
                tx,
                self.clock.now(),
                client_id=self.client_id,
                agent_id=replica.agent_id,
                replica_id=replica.id,
                created_by=CreatedBy.USER,
            )
        )

    def run(self, seconds, until=lambda: False):
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end and not until():
            if self.pass_at <= self.clock.now():
                self.pass_at = self.clock.now() + timedelta(seconds=10)
                self.coordinator.run_pass()
            left = (min(self.pass_at, end) - self.clock.now()).total_seconds()
            planned = self.pass_at
            super().run(max(left, 0), lambda planned=planned: self.pass_at < planned or until())

    def agent(self):
        return self.db.read(lambda tx: tx.execute(agents.select()).one())

    def switch(self):
        return self.db.read(lambda tx: tx.execute(switches.select()).first())

    def steps(self):
        switch = self.switch()
        return self.db.read(lambda tx: moves.recorded_steps(tx, switch.id))

    def set(self, **values):
        self.db.write(lambda tx: tx.execute(agents.update().values(**values)))

    def open_move(self, kind, pool, mode=Mode.SPOT):
        agent_id = self.agent().id

        def work(tx):
            return moves.open_move(
                tx,
                self.clock.now(),
                client_id=self.client_id,
                agent_id=agent_id,
                trigger=Trigger.MANUAL,
                created_by=CreatedBy.USER,
                priority=Priority.USER,
                target_pool=pool,
                target_mode=mode,
                kind=kind,
                reason="story",
            )

        self.db.write(work)


@pytest.mark.parametrize("executor", list(Executor))
@pytest.mark.parametrize("kind", list(PLANNED_STEPS))
def test_a_planned_move_goes_through_every_step(kind, executor):
    stage = ServedStage(executor)
    old = stage.primary()
    stage.set(terminate_wait_seconds=60)
    if kind is MoveKind.VOLUME:
        stage.open_move(kind, A, Mode.ONDEMAND)
    else:
        stage.open_move(kind, B)
    stage.run(3600, lambda: Step.PRUNED in stage.steps())
    assert stage.switch().status == "completed", (stage.steps(), stage.switch().ended_because)
    assert set(stage.steps()) == set(PLANNED_STEPS[kind])
    stage.nothing_lost()
    assert stage.register.serving() == [stage.switch().new_instance_id]
    gone = stage.ec2.describe_instances([old.instance_id])
    assert not gone or gone[0].state is InstanceState.TERMINATED
    said = stage.db.read(lambda tx: tx.execute(commands.select()).all())
    assert {row.status for row in said} == {"completed"}


@pytest.mark.parametrize("server", ["there", "away for the last two minutes", "away throughout"])
@pytest.mark.parametrize("protection", ["automatic", "manual", "none"])
def test_a_notice_ends_with_one_instance_serving_and_nothing_lost(protection, server):
    stage = ServedStage()
    old = stage.primary()
    stage.set(
        auto_switch_enabled=protection == "automatic",
        manual_replica_enabled=protection == "manual",
        replica_enabled=protection == "manual",
    )
    stage.run(400)
    stage.server.away = server == "away throughout"
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(10)
    stage.server.away = server != "there"
    stage.run(300)
    stage.server.away = False
    stage.run(1500, lambda: len(stage.register.serving()) == 1)
    stage.run(300)
    (serving,) = stage.register.serving()
    assert serving != old.instance_id
    assert stage.agent().instance_id == serving
    stage.nothing_lost()


def test_where_only_the_agent_reaches_ec2_a_move_completes():
    stage = ServedStage(server_has_ec2=False)
    old = stage.primary()
    stage.set(terminate_wait_seconds=60)
    stage.open_move(MoveKind.SYNCED, B)
    stage.run(1800, lambda: stage.switch().status == "completed")
    assert stage.switch().status == "completed", (stage.steps(), stage.switch().ended_because)
    assert old.instance_id not in [
        m.instance_id for m in stage.ec2.describe_instances() if m.state == "running"
    ]
    stage.nothing_lost()


def test_where_only_the_agent_reaches_ec2_it_keeps_a_standby():
    stage = ServedStage(server_has_ec2=False)
    stage.primary()
    stage.set(auto_switch_enabled=False, manual_replica_enabled=True, replica_enabled=True)
    stage.run(900, lambda: len(stage.hosts) == 2)
    stage.run(300)
    rows = stage.db.read(lambda tx: tx.execute(replica_instances.select()).all())
    assert [row.status for row in rows] == ["ready"]
    stage.nothing_lost()


def test_who_does_not_hear_whether_its_volumes_have_gone_opens_nothing_until_it_does():
    """The server takes them when EC2 lets it, and grants without the holder's word: beside it nobody may serve."""
    stage = ServedStage(Executor.SERVER)
    old = stage.primary()
    stage.open_move(MoveKind.VOLUME, A, Mode.ONDEMAND)
    stage.run(3600, lambda: Step.GATE_CLOSED in stage.steps())
    stage.server.away = True
    stage.ec2.faults.sometimes("detach_volume", 1.0)
    stage.run(400, lambda: old.instance_id in stage.register.serving())
    assert stage.register.serving() == []
    stage.ec2.faults.sometimes("detach_volume", 0)
    stage.run(400, lambda: old.instance_id in stage.register.serving())
    assert stage.register.serving() == []
    stage.server.away = False
    stage.run(300)
    assert stage.register.serving() == [stage.switch().new_instance_id]
    stage.nothing_lost()
