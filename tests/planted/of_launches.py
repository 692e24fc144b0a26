"""Bugs in making instances: tokens, tags, answers that never came, pools that have nothing."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_UNSURE = (F.EC2_ANSWERS_LOST, F.EC2_ERRORS, F.FORCED_MOVE, F.TOGGLES, F.INSTANCE_DIES)

BUGS = (
    Bug(
        "no-client-token",
        "terraform-provider-aws#27543: RunInstances without ClientToken",
        "6: an answer that is lost makes a second instance",
        (
            Edit(
                "execution/launching.py",
                "        LaunchRequest(\n            token=intention.token,\n",
                "        LaunchRequest(\n            token=token_of(str(id(object())), '', len(cloud.describe_instances()), ''),\n",
            ),
            Edit(
                "execution/launching.py",
                "        found = find(cloud, intention.token)\n        if found is not None:\n            return _settle(intentions, intention, found)\n        return _ask(",
                "        return _ask(",
            ),
            Edit(
                "execution/launching.py",
                "        found = find(cloud, intention.token)\n        if found is not None:\n            return _settle(intentions, intention, found)\n        return _unclear(",
                "        return _unclear(",
            ),
        ),
        hunt(*_UNSURE),
    ),
    Bug(
        "a-token-of-the-call-not-of-the-attempt",
        "harbor#2346: the token comes from the session, a retry has another",
        "6: two instances for one wish",
        (
            Edit(
                "execution/launching.py",
                "    if intention.pool is None or intention.mode is None:\n        return cloud.create_fleet(\n            FleetRequest(\n                token=intention.token,\n",
                "    if intention.pool is None or intention.mode is None:\n        return cloud.create_fleet(\n            FleetRequest(\n                token=token_of(user_data, '', 0, ''),\n",
            ),
            Edit(
                "execution/launching.py",
                "        LaunchRequest(\n            token=intention.token,\n",
                "        LaunchRequest(\n            token=token_of(user_data, '', 0, ''),\n",
            ),
            Edit(
                "execution/launching.py",
                "    shown = cloud.describe_instances(token=token) or cloud.describe_instances(tags={TOKEN_TAG: token})\n",
                "    shown = cloud.describe_instances(token=token)\n",
            ),
        ),
        hunt(*_UNSURE),
    ),
    Bug(
        "one-token-for-every-pool",
        "ubicloud#5898, and tokens reused across zones: EC2 scopes them by zone",
        "6, 18: the second candidate is taken for the first one's retry and never tried",
        (
            Edit(
                "execution/tokens.py",
                '    text = "\\n".join((seed, purpose, str(attempt), place))\n',
                '    text = "\\n".join((seed, purpose, str(attempt)))\n',
            ),
        ),
        Node(
            "tests/execution/test_launching.py::test_a_dry_pool_means_the_next_with_a_token_of_its_own",
            "a recovery tries on with higher attempts, so that the simulation's world comes back all the same",
        ),
    ),
    Bug(
        "not-visible-is-ended",
        "cluster-api-provider-aws#674: NotFound is taken for an end",
        "6: what EC2 does not show yet is launched once more",
        (
            Edit(
                "execution/launching.py",
                "    if now - intention.opened_at > VANISHED_AFTER:\n",
                "    if now > intention.opened_at:\n",
            ),
        ),
        hunt(*[F.EC2_HIDES] * 3, *[F.COORDINATOR_DIES_AT_EFFECT] * 3, F.TOGGLES, F.INSTANCE_DIES),
    ),
    Bug(
        "the-wish-is-forgotten-when-the-start-fails",
        "skypilot#1496: the row is deleted when the start fails",
        "6: the machine that came all the same has no role, and an open wish keeps it for ever",
        (
            Edit(
                "coordinator/standbys.py",
                "                self.ctx.soon(now, result.again_seconds)\n                return False\n",
                "                return self._failed(now, agent, replica, result.because)\n",
            ),
            Edit(
                "coordinator/leftovers.py",
                "        unsettled = self.ctx.db.read(forsaken.of_all)\n",
                "        unsettled = self.ctx.db.read(forsaken.of_all)[:0]\n",
            ),
        ),
        hunt(F.TOGGLES, F.EC2_ANSWERS_LOST, F.EC2_HIDES, F.REBALANCE),
    ),
    Bug(
        "no-answer-is-a-refusal",
        "failures of RunInstances that had worked: a time-out is taken for a failure",
        "6: the next candidate is launched beside the one that came",
        (
            Edit(
                "execution/launching.py",
                '    return NotYet(SOON_SECONDS, f"no clear answer yet ({error.code})")\n',
                "    _fail(intentions, intention, error)\n    raise PoolDry(error.code) from error\n",
            ),
        ),
        hunt(*_UNSURE),
    ),
    Bug(
        "tags-come-after-the-launch",
        "cluster-api-provider-aws#836: tagged by a second call, which may never be made",
        "6: what nobody can find again belongs to nobody",
        (
            Edit(
                "execution/launching.py",
                "    tags = tags_of(shape, {**wish.tags, TOKEN_TAG: intention.token})\n",
                "    tags = tags_of(shape, {})\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.TOGGLES, F.NOTICE),
    ),
    Bug(
        "a-rescue-asks-the-spend-cap",
        "ruling B13: caps never stop an emergency",
        "12, 18: a workload stays down because it would cost something",
        (
            Edit(
                "store/intentions.py",
                "    if wisher.voluntary and is_launch:\n        is_probe",
                "    if is_launch:\n        is_probe",
            ),
        ),
        Node(
            "tests/coordinator/test_caps.py::test_a_rescue_asks_no_cap",
            "caps that nothing fits under are set by few of the schedules' clicks",
        ),
    ),
    Bug(
        "the-cap-is-asked-outside-the-transaction",
        "a budget that is checked before and reserved afterwards",
        "12: two that ask at once are both let in",
        (
            Edit(
                "store/intentions.py",
                "    tx.execute(sa.update(clients).where(clients.c.id == client_id).values(updated_at=now))\n"
                "    client = tx.execute(sa.select(clients).where(clients.c.id == client_id)).one()\n"
                "    agent_cap",
                "    client = tx.execute(sa.select(clients).where(clients.c.id == client_id)).one()\n    return\n    agent_cap",
            ),
        ),
        Node(
            "tests/store/test_races.py::test_a_cap_with_room_for_one_lets_one_in_however_many_ask_at_once",
            "one process has one transaction at a time: races need threads",
        ),
    ),
    Bug(
        "the-same-pool-again",
        "karpenter#2813: relaunched where it was just taken from",
        "11: a pool that interrupted us is tried first",
        (
            Edit(
                "planning/standby.py",
                "        and (a.quarantined_until is None or a.quarantined_until <= now)\n",
                "",
            ),
        ),
        Node(
            "tests/planning/test_places.py::test_an_emergency_tries_a_pool_in_quarantine_only_after_on_demand_and_never_a_forbidden_one",
            "a pool that takes an instance twice harms no promise that a schedule can see",
        ),
    ),
)
