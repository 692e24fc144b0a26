"""Traffic goes to the holder of the epoch: moved after each grant, repeated until read back, looked at ever after.

The server moves it where it is the executor (ruling B18); else the holder's agent does, and a script always runs there.
Nothing in memory is truth: a coordinator that begins anew looks first, and repeats what did not take effect.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.coordinator.context import Context
from spotguard.coordinator.turns import Turns
from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.traffic import Route, TargetGroup
from spotguard.execution.traffic import STUCK_SECONDS, Arrived, Errand, OnTheWay, Overtaken, Stuck, carry
from spotguard.ports.traffic import Endpoint, Handing, Traffic
from spotguard.store import events, traffic
from spotguard.store.steps import SERVER
from spotguard.store.traffic import Road

LOOK_AGAIN = timedelta(minutes=5)  # at what was read back: somebody else may have moved it
NO_AWS = (
    "this server has no access to AWS: traffic stays where it is; make agents the executor, or give it access"
)

Key = tuple[str, int, Route, str]  # agent, epoch, route, holder


class TrafficDuty:
    """One workload after the other; nothing is asked of AWS for one that was read back lately."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._turns: Turns[Road] = Turns(ctx)
        self._receipts: dict[Key, str | None] = {}
        self._proven: dict[Key, datetime] = {}
        self._again: dict[Key, datetime] = {}
        self._moving: set[AgentId] = set()  # a move of theirs has opened, and this is not recorded yet
        self._told: set[tuple[Route, InstanceId, bool]] = set()  # announced (True) or withdrawn

    def run(self, now: datetime) -> int:
        roads, self._moving = self.ctx.db.read(lambda tx: (traffic.roads(tx), traffic.moving(tx)))
        self._forget(roads)
        in_turn = self._turns.of(roads, lambda: [road for road in roads if self._is_under_way(road)])
        return self.ctx.each("traffic", in_turn, lambda road: self._look(now, road))

    def _is_under_way(self, road: Road) -> bool:
        """Not only looked at again."""
        return road.agent_id in self._moving or _key(road) not in self._proven

    def _look(self, now: datetime, road: Road) -> bool:
        if not road.enabled and road.agent_id not in self._moving:
            return False  # hands off; only a move that was granted goes on to its end
        port = self.ctx.traffics(road.client_id)
        if port is None:
            return self._tell(now, road, NO_AWS)
        changed = self._carry(now, port, road)
        if isinstance(road.route, TargetGroup):
            changed |= self._keep_targets(now, port, road, road.route)
        return changed

    def _carry(self, now: datetime, port: Traffic, road: Road) -> bool:
        key = _key(road)
        if self._again.get(key, now) > now:
            return False
        if now - self._proven.get(key, now - LOOK_AGAIN) < LOOK_AGAIN:
            return self._record(now, road, "it was read back before")
        former = self.ctx.db.read(lambda tx: traffic.former(tx, road.agent_id, road.epoch))
        errand = Errand(
            road.route,
            Handing(road.holder, road.epoch, former),
            self._receipts.get(key),
            proven=key in self._proven,
        )
        done = carry(port, errand, lambda: self._holds(road))
        match done:
            case Arrived():
                self._proven[key], self._receipts[key] = now, done.receipt
                return self._record(now, road, done.because)
            case OnTheWay():
                self._receipts[key] = done.receipt
                self.ctx.soon(now, done.again_seconds)
                return False
            case Stuck():
                self._again[key] = now + timedelta(seconds=done.again_seconds)
                return self._tell(now, road, f"its traffic cannot be moved: {done.because}")
            case Overtaken():
                self._again[key] = now + timedelta(
                    seconds=STUCK_SECONDS
                )  # a newer grant has a key of its own
                self.ctx.soon(now, 1)
                return False

    def _holds(self, road: Road) -> bool:
        return self.ctx.db.read(lambda tx: traffic.holds(tx, road.agent_id, road.epoch))

    def _record(self, now: datetime, road: Road, because: str) -> bool:
        if road.agent_id not in self._moving:
            return False
        return self.ctx.db.write(lambda tx: traffic.arrived(tx, now, road, SERVER, because))

    def _keep_targets(self, now: datetime, port: Traffic, road: Road, route: TargetGroup) -> bool:
        """Who may serve next is registered early; whoever has ended is no target any more."""
        waiting, gone = self.ctx.db.read(
            lambda tx: (traffic.waiting(tx, road.agent_id), traffic.gone(tx, now, road.agent_id))
        )
        news = [to for to in waiting if (route, to.instance_id, True) not in self._told]
        ended = [i for i in gone if (route, i, False) not in self._told]
        for to in news:
            self._announce(port, route, to)
        for instance_id in ended:
            port.withdraw(route, instance_id)
            self._told.add((route, instance_id, False))
        return bool(news or ended)

    def _announce(self, port: Traffic, route: TargetGroup, to: Endpoint) -> None:
        port.announce(route, to)
        self._told.add((route, to.instance_id, True))

    def _forget(self, roads: list[Road]) -> None:
        """What is kept is bounded by the workloads that there are."""
        known = {_key(road) for road in roads}
        for kept in (self._receipts, self._proven, self._again):
            for key in [key for key in kept if key not in known]:
                kept.pop(key)
        routes = {road.route for road in roads}
        self._told = {told for told in self._told if told[0] in routes}

    def _tell(self, now: datetime, road: Road, message: str) -> bool:
        if not self.ctx.news(road.agent_id, message, now):
            return False
        self.ctx.db.write(
            lambda tx: events.append(tx, now, road.client_id, road.agent_id, traffic.STUCK, message)
        )
        return True


def _key(road: Road) -> Key:
    return road.agent_id, road.epoch, road.route, road.holder.instance_id
