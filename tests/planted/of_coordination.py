"""Bugs in the coordinator: what it misses, what stops it, what it forgets to count."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_DEATHS = (F.INSTANCE_DIES, F.STRANGER_TERMINATES, F.NOTICE_ABSENT)

BUGS = (
    Bug(
        "only-what-happened-lately-is-seen",
        "the specification: 'promoted within the last 5 minutes' (ruling B5, a window instead of a level)",
        "14, 18: what happened while nobody looked is never made good",
        (
            Edit(
                "coordinator/emergencies.py",
                "    dead = deaths.is_dead(tx, held.instance_id)\n    switch = moves.preparing_of(tx, agent_id)\n",
                "    dead = deaths.is_dead(tx, held.instance_id)\n"
                "    ended = tx.scalar(sa.text('SELECT ended_at FROM instances WHERE id = :id').bindparams(id=held.instance_id).columns(ended_at=switches.c.created_at.type))\n"
                "    if ended is not None and now - ended > timedelta(minutes=1):\n"
                "        return False\n"
                "    switch = moves.preparing_of(tx, agent_id)\n",
            ),
        ),
        hunt(F.INSTANCE_DIES, F.COORDINATOR_FROZEN, F.COORDINATOR_FROZEN),
    ),
    Bug(
        "one-poisoned-row-stops-the-pass",
        "omicron#5947: recovery stops at the first bad saga",
        "14: what comes after it is never looked at",
        (
            Edit(
                "coordinator/context.py",
                "                self.failed(duty, _name(item), error)\n",
                "                raise\n",
            ),
            Edit(
                "coordinator/context.py",
                '                log.warning("EC2 did not do it", duty=duty, item=_name(item), code=error.code)\n',
                "                raise\n",
            ),
        ),
        hunt(F.EC2_ERRORS, F.EC2_THROTTLES, F.EC2_FORBIDS),
    ),
    Bug(
        "what-was-begun-is-begun-again",
        "our own simulation: a commit whose answer was lost is repeated, and its row is there already",
        "9: a transaction is run again as a whole, and twice is not once",
        (
            Edit(
                "store/salvages.py",
                "    if tx.execute(sa.select(_v.id).where(_v.switch_id == switch.id)).first() is not None:\n"
                "        return True  # by another, or by this transaction, whose commit was not heard of\n",
                "",
            ),
        ),
        hunt(F.TOGGLES, F.INSTANCE_DIES, F.INSTANCE_DIES, F.DATABASE_LOST_COMMITS, F.DATABASE_LOST_COMMITS),
    ),
    Bug(
        "a-counter-is-read-and-written-back",
        "measured on a Galera cluster: 1 666 of 7 598 updates lost to read-modify-write",
        "9: counters do not equal their rows",
        (
            Edit(
                "store/replicas.py",
                "            replica_count=sa.select(sa.func.count()).select_from(replicas).where(alive).scalar_subquery(),\n",
                "            replica_count=sa.case(\n"
                "                (agents.c.current_replica_id.is_(None), sa.select(sa.func.count()).select_from(replicas).where(alive).scalar_subquery()),\n"
                "                else_=agents.c.replica_count,\n"
                "            ),\n",
            ),
        ),
        hunt(F.TOGGLES, F.NOTICE, F.CLICKS),
    ),
    Bug(
        "instances-are-not-counted-anew",
        "the specification stores instance_count and never says who maintains it (ruling S6)",
        "9: counters do not equal their rows",
        (
            Edit(
                "store/sightings.py",
                "    if agent_id is not None:\n        _retime_steps(tx, view)\n        replicas.recount(tx, agent_id)\n",
                "    if agent_id is not None:\n        _retime_steps(tx, view)\n",
            ),
        ),
        hunt(*_DEATHS, F.FORCED_MOVE),
    ),
    Bug(
        "no-limit-of-switches",
        "flapping between pools: orchestrator#410, a block without an identity",
        "11: more voluntary switches a day than the agent allows",
        (
            Edit(
                "planning/guard_rails.py",
                "        if done >= most:\n",
                "        if done > most * 100:\n",
            ),
            Edit(
                "planning/guard_rails.py",
                "        if switch.left_pool == target and facts.now - switch.at < RETURN_PAUSE:\n",
                "        if switch.left_pool == target and facts.now < switch.at:\n",
            ),
            Edit(
                "planning/guard_rails.py",
                "    if facts.proposal.aim is not Aim.SAVE or facts.proposal.saving_percent >= facts.rails.min_savings_percent:\n",
                "    if facts.proposal.saving_percent > -1000:\n",
            ),
            Edit(
                "planning/guard_rails.py",
                "    if stayed >= facts.rails.min_pool_hours:\n",
                "    if stayed >= 0:\n",
            ),
        ),
        Node(
            "tests/planning/test_guard_rails.py::test_each_rail_alone",
            "prices of the synthetic market do not move often enough within six hours",
        ),
    ),
    Bug(
        "the-kill-switch-is-read-once",
        "orchestrator#1217: a stop that is asked for and not looked at again",
        "13: a voluntary move goes on under the kill switch",
        (
            Edit(
                "coordinator/moves.py",
                "    return _why_stopped(tx, switch, steps) or deaf or late\n",
                "    return deaf or late\n",
            ),
        ),
        Node(
            "tests/coordinator/test_decisions.py::test_the_kill_switch_stops_what_has_not_closed_its_gate",
            "the schedules' kill switches come too seldom between the opening of a move and its closed gate",
        ),
    ),
    Bug(
        "an-image-is-taken-while-ec2-does-not-tell",
        "aws-ec2 eventual consistency: an empty answer is taken for none (cluster-api-provider-aws#674)",
        "4: an old image is started although the volume with the state is there",
        (
            Edit(
                "planning/emergency.py",
                "    if facts.looked:\n        return None\n    because",
                "    if facts.looked or not facts.looked:\n        return None\n    because",
            ),
        ),
        Node(
            "tests/coordinator/test_last_resort.py::test_while_ec2_does_not_tell_what_is_left_it_is_asked_again",
            "rows of volumes are seldom older than a death in the simulation",
        ),
    ),
    Bug(
        "absent-once-is-gone",
        "cluster-autoscaler#10147: a placeholder, or an absence, is counted as a fact",
        "1, 2: one look that does not show the holder is its death",
        (
            Edit(
                "coordinator/observe.py",
                "        enough = long_absent and row.absent_looks >= VANISHED_LOOKS\n",
                "        enough = True\n",
            ),
            Edit(
                "coordinator/observe.py",
                "        if not (was_running and is_old):\n            return\n",
                "",
            ),
        ),
        hunt(F.EC2_ERRORS, F.FORCED_MOVE, F.TOGGLES, F.NOTICE),
    ),
    Bug(
        "lost-races-are-not-run-again",
        "vitess#2085, mysql-wsrep#39: a deadlock at COMMIT reaches the caller",
        "14, 17: a request that a deadlock hit is answered with an error, and what it was to do is not done",
        (
            Edit(
                "store/database.py",
                "    return is_lost_race(error)\n\n\ndef _sqlite_engine",
                "    return False\n\n\ndef _sqlite_engine",
            ),
        ),
        hunt(F.DATABASE_DEADLOCKS, F.CLICKS, F.TOGGLES, F.FORCED_MOVE),
    ),
    Bug(
        "a-repeated-transaction-inserts-again",
        "vitess#2085: blind re-insertion after a commit that was unknown",
        "9: what was recorded once is recorded twice",
        (
            Edit(
                "store/ledger.py",
                "    if windows:\n        tx.execute(_CLEAR, windows)\n",
                "",
            ),
        ),
        hunt(F.DATABASE_LOST_COMMITS, F.FORCED_MOVE),
    ),
)
