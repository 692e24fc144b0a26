"""The demo's script: labelled acts of a user and of AWS, besides what market and weather do by themselves.

An act waits until its scene is set (AWS interrupts only spot instances, a promotion needs a ready replica), and tries
again every few minutes until the demo ends; acts that never found their scene are named in the summary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.simulation import lookups
from spotguard.simulation.world import World
from spotguard.store import events
from spotguard.store.demos import PLAYED

TRY_AGAIN = timedelta(minutes=5)

Deed = Callable[[World], bool]  # False: the scene is not set, nothing was done


@dataclass(frozen=True)
class Act:
    """`label` is what the audience reads."""

    at_hours: float
    label: str
    deed: Deed


class Script:
    """Plays acts in a world. Each is an event, so that whoever looks at the page sees what was only played."""

    def __init__(self, world: World, acts: Sequence[Act]) -> None:
        self.world = world
        self.waiting = [act.label for act in acts]
        for number, act in enumerate(acts):
            at = world.started_at + timedelta(hours=act.at_hours)
            world.schedule.plan(("act", number), at, partial(self._play, number, act))

    def _play(self, number: int, act: Act) -> None:
        if act.deed(self.world):
            self.waiting.remove(act.label)
            self.tell(act.label)
        else:
            at = self.world.clock.now() + TRY_AGAIN
            self.world.schedule.plan(("act", number), at, partial(self._play, number, act))

    def tell(self, label: str) -> None:
        now, client_id = self.world.clock.now(), self.world.client_id
        message = f"played by the demo's script: {label}"
        self.world.db.write(lambda tx: events.append(tx, now, client_id, None, PLAYED, message))


def acts_of(names: Sequence[str]) -> list[Act]:
    """The demo's acts; agents are taken in turn, so that a single one plays them all."""

    def who(number: int) -> str:
        return names[number % len(names)]

    web, db, queue, build, cache, mail = (who(number) for number in range(6))
    return [
        Act(0.1, f"user: a standing replica for {db}", partial(configure, db, manualReplicaEnabled=True)),
        Act(0.4, f"user: move {web} to the cheapest pool", partial(force, web, None)),
        Act(0.6, f"user: move {queue} within its zone (volume)", partial(force, queue, MoveKind.VOLUME)),
        Act(1.0, f"user: promote the replica of {db}", partial(promote, db)),
        Act(4.0, f"user: move {build} by image", partial(force, build, MoveKind.IMAGE)),
        Act(8.0, f"AWS: a rebalance recommendation for {web}, nothing follows", partial(recommend, web)),
        Act(12.0, f"AWS: a rebalance recommendation for {queue}", partial(recommend, queue)),
        Act(12.3, f"AWS: the termination notice for {queue}", partial(interrupt_with_replica, queue)),
        Act(16.0, f"AWS: a termination notice for {build} out of the blue", partial(interrupt, build)),
        Act(20.0, f"AWS: {cache} dies without a word", partial(die, cache)),
        Act(24.0, "user: kill switch, no voluntary action", partial(kill_switch, "voluntary")),
        Act(26.0, "user: kill switch off", partial(kill_switch, "none")),
        Act(28.0, "network: the server is out of reach for half an hour", cut),
        Act(28.5, "network: the server is back", mend),
        Act(
            32.0,
            f"user: no standing replica for {db} any more",
            partial(configure, db, autoSwitchEnabled=True),
        ),
        Act(40.0, f"AWS: takes the whole pool of {mail}", partial(take_pool, mail)),
    ]


def configure(name: str, world: World, **settings: object) -> bool:
    agent = lookups.agent(world, name)
    return world.call("POST", f"/api/client/agents/{agent.id}/config", settings).status == _OK


def force(name: str, kind: MoveKind | None, world: World) -> bool:
    """The cheapest pool that the panel allows; for a volume move the one of the agent's own zone."""
    agent = lookups.agent(world, name)
    pools = world.call("GET", f"/api/client/instances/{agent.instance_id}/pricing").body["pools"]
    present = agent.current_pool_id if agent.current_mode == Mode.SPOT else None
    allowed = [
        pool for pool in pools if pool["allowed"] and pool["price"] is not None and pool["id"] != present
    ]
    if kind is MoveKind.VOLUME:
        allowed = [pool for pool in allowed if pool["az"] == agent.az]
    if not allowed:
        return False
    wish: dict[str, object] = {"target": "pool", "pool_id": allowed[0]["id"]}
    if kind is not None:
        wish["kind"] = kind.value
    return (
        world.call("POST", f"/api/client/instances/{agent.instance_id}/force-switch", wish).status
        == _ACCEPTED
    )


def promote(name: str, world: World) -> bool:
    agent = lookups.agent(world, name)
    ready = lookups.ready_replica(world, agent.id)
    if ready is None:
        return False
    return world.call("POST", f"/api/agents/{agent.id}/replicas/{ready}/promote", {}).status == _OK


def recommend(name: str, world: World) -> bool:
    return _to_spot(name, world, world.ec2.controls.signal_rebalance)


def interrupt(name: str, world: World) -> bool:
    return _to_spot(name, world, world.ec2.controls.interrupt)


def interrupt_with_replica(name: str, world: World) -> bool:
    agent = lookups.agent(world, name)
    return lookups.ready_replica(world, agent.id) is not None and interrupt(name, world)


def die(name: str, world: World) -> bool:
    world.ec2.controls.fail_instance(InstanceId(lookups.agent(world, name).instance_id))
    return True


def take_pool(name: str, world: World) -> bool:
    pool = lookups.spot_pool(world, name)
    if pool is None:
        return False
    world.ec2.controls.interrupt(pool)
    return True


def kill_switch(level: str, world: World) -> bool:
    wish = {"level": level, "scope": "client", "reason": "demo"}
    return world.call("PUT", "/api/client/kill-switch", wish).status == _OK


def cut(world: World) -> bool:
    world.link.away = True
    return True


def mend(world: World) -> bool:
    world.link.away = False
    return True


def _to_spot(name: str, world: World, what: Callable[[InstanceId], None]) -> bool:
    agent = lookups.agent(world, name)
    if agent.current_mode != Mode.SPOT or lookups.is_moving(world, agent.id):
        return False
    what(InstanceId(agent.instance_id))
    return True


_OK, _ACCEPTED = 200, 202
