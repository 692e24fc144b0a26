"""Bugs against what the product promises of itself besides serving."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, hunt

BUGS = (
    Bug(
        "always-switching",
        "our own: no judge had asked: a status that is entered and never left",
        "17: who serves is told to be switching for ever, and makes no automatic move any more",
        (
            Edit(
                "store/moves.py",
                "    if preparing_of(tx, agent_id) is None:\n        tx.execute(\n            sa.update(agents)\n",
                "    if preparing_of(tx, agent_id) is not None:\n        tx.execute(\n            sa.update(agents)\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.NOTICE),
    ),
    Bug(
        "one-standby-for-a-life",
        "our own: no judge had asked: a standby that was lost is not made anew",
        "3: whoever wants a standby has none after its first",
        (
            Edit(
                "planning/standby.py",
                "    signalled: bool = False  # AWS has said that the serving instance may be taken, or will be\n",
                "    signalled: bool = False  # AWS has said that the serving instance may be taken, or will be\n"
                "    had_one: bool = False\n",
            ),
            Edit(
                "planning/standby.py",
                "    if not need.serving or need.moving or need.protection",
                "    if need.had_one or not need.serving or need.moving or need.protection",
            ),
            Edit(
                "store/standbys.py",
                "        signalled=held is not None and bool(live_signals.signalled(tx, now, [held.instance_id])),\n",
                "        signalled=held is not None and bool(live_signals.signalled(tx, now, [held.instance_id])),\n"
                "        had_one=tx.execute(\n"
                '            sa.select(_r.id).where(_r.agent_id == agent.id, _r.replica_type == "manual").limit(1)\n'
                "        ).first()\n"
                "        is not None,\n",
            ),
        ),
        hunt(F.TOGGLES, F.PROMOTION, F.STANDBY_NOTICE),
    ),
    Bug(
        "a-deaf-kill-switch",
        "the specification's kill switch (invariant 13): one that everybody may press and nobody asks",
        "13: moves are begun while it stands",
        (
            Edit(
                "store/kill.py",
                "    return max((KillLevel[row.level.upper()] for row in rows), default=KillLevel.NONE)\n",
                "    return max((KillLevel.NONE for row in rows), default=KillLevel.NONE)\n",
            ),
        ),
        hunt(F.KILL_SWITCH, F.FORCED_MOVE, F.TOGGLES),
    ),
    Bug(
        "the-volume-goes-first",
        "the EC2 user guide, DetachVolume: a volume that is taken from a running file system may be damaged",
        "2: a workload writes on to a volume that has been taken from it",
        (
            Edit(
                "execution/old_half.py",
                "        self.holding.pause(at_any_rate=self._must_close(state))\n"
                "        if state.kind is MoveKind.IMAGE",
                "        if state.kind is not MoveKind.VOLUME or state.close_by is not None:\n"
                "            self.holding.pause(at_any_rate=self._must_close(state))\n"
                "        if state.kind is MoveKind.IMAGE",
            ),
        ),
        hunt(F.FORCED_MOVE),
    ),
    Bug(
        "on-demand-costs-twice",
        "our own: no judge had asked: savings against a price that nobody would have paid",
        "9: what on-demand would have cost is twice what it is",
        (
            Edit(
                "planning/metering.py",
                "            fact.usd_per_hour,\n            1,\n",
                "            fact.usd_per_hour * 2,\n            1,\n",
            ),
        ),
        hunt(F.NOTICE),
    ),
    Bug(
        "nobody-paid-for-a-ticket",
        "our own: while the server was away a ticket's heir served, and on demand nothing would have cost anything",
        "9: what on-demand would have cost leaves out what was served before the server heard of it",
        (
            Edit(
                "store/openings.py",
                "SERVED_SINCE = sa.func.coalesce(_g.served_since, _g.granted_at, type_=_g.granted_at.type)\n",
                "SERVED_SINCE = _g.granted_at\n",
            ),
        ),
        hunt(F.SERVER_AWAY, F.NOTICE, F.TOGGLES, hours=6.0),
    ),
    Bug(
        "in-haste-the-last-pass-is-left-out",
        "our own: no judge had asked: a late notice for which the last writes are left behind, and told as a loss",
        "4: what was acknowledged before a notice that was heard is lost by its hand-over",
        (
            Edit(
                "execution/old_half.py",
                "        made = self.sync.push(state.target)\n        if made is None or made.position <",
                "        if state.close_by is not None and state.close_by - state.begun_at < timedelta(seconds=30):\n"
                "            late = replace(state, position=self.sync.position())\n"
                "            return late.with_step(Step.DELTA_SENT, self.clock.now())\n"
                "        made = self.sync.push(state.target)\n        if made is None or made.position <",
            ),
            Edit(
                "store/plans.py",
                "    return SignalAnswer(given.action, replica_id, given.because, opened.switch_id)\n",
                "    if (close_by - now).total_seconds() < 30:\n"
                "        s = switch_rows.c\n"
                "        told = sa.update(switch_rows).where(s.id == opened.switch_id)\n"
                "        tx.execute(told.values(lost_seconds=60))\n"
                "    return SignalAnswer(given.action, replica_id, given.because, opened.switch_id)\n",
            ),
            Edit(
                "store/plans.py",
                "from spotguard.store.prepared import Prepared\n",
                "from spotguard.store.prepared import Prepared\n"
                "from spotguard.store.tables import switches as switch_rows\n",
            ),
        ),
        hunt(F.NOTICE_LATE, F.TOGGLES),
    ),
)
