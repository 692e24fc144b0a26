"""Bugs at the edges: tenants, numbers from outside, money."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_TAKEN = (F.NOTICE, F.NOTICE_ABSENT, F.ZONE_WAVE, F.POOL_WAVE, F.TOGGLES)

BUGS = (
    Bug(
        "the-tenant-is-in-the-path",
        "ToolJet#17394: the scope comes from the path, not from the credential",
        "15: an agent speaks for another",
        (
            Edit(
                "api/credentials.py",
                "    if row.agent_id != agent_id:\n",
                "    if not agent_id:\n",
            ),
        ),
        Node(
            "tests/api/test_walls.py::test_another_agent_of_the_same_tenant_is_not_allowed",
            "the simulation has one tenant, whose agents name themselves rightly",
        ),
    ),
    Bug(
        "an-instance-of-another-tenant-is-taken-over",
        "open-mercato#2696: the tenant is derived from ids that the caller names",
        "15: whoever names an instance has it",
        (
            Edit(
                "store/fleet.py",
                "    if row is None or (client_id is not None and row.client_id != client_id):\n",
                "    if row is None:\n",
            ),
        ),
        Node(
            "tests/api/test_walls.py::test_another_tenant_finds_nothing",
            "the simulation has one tenant",
        ),
    ),
    Bug(
        "a-revoked-token-opens",
        "zeroid#96: revoked by id only, the token is still taken",
        "15, 16: a former boot's token is as good as the present one",
        (
            Edit(
                "store/agents.py",
                '    .where(agent_tokens.c.token_hash == sa.bindparam("hash"), agent_tokens.c.revoked_at.is_(None))\n',
                '    .where(agent_tokens.c.token_hash == sa.bindparam("hash"))\n',
            ),
        ),
        Node(
            "tests/api/test_register.py::test_the_same_instance_again_gets_a_new_token_and_the_old_one_is_revoked",
            "nobody steals a token in the simulation",
        ),
    ),
    Bug(
        "a-clone-enrols-with-its-originals-token",
        "tailscale#506: the same key on two machines",
        "16: a cloned disk holds a valid identity",
        (
            Edit(
                "store/enrolment.py",
                "    if row.used_by_instance_id != instance_id:\n",
                "    if not instance_id:\n",
            ),
        ),
        Node(
            "tests/api/test_register.py::test_a_launch_enrols_with_its_single_use_token",
            "in the simulation every launch has a token of its own, and no image is started by strangers",
        ),
    ),
    Bug(
        "the-first-hour-is-billed",
        "AWS: a spot instance that is interrupted within its first hour is not charged",
        "9: the ledger says more than EC2's meter",
        (
            Edit(
                "planning/metering.py",
                "        and run.ended_at - run.launched_at < FREE_WITHIN\n",
                "        and run.ended_at < run.launched_at\n",
            ),
        ),
        hunt(*_TAKEN, hours=2.0),
    ),
    Bug(
        "every-interruption-is-free",
        "billing by hearsay: whatever AWS ends is waived",
        "9: the ledger says less than EC2's meter",
        (
            Edit(
                "planning/metering.py",
                "        and run.ended_at - run.launched_at < FREE_WITHIN\n",
                "        and run.ended_at >= run.launched_at\n",
            ),
        ),
        hunt(F.NOTICE, F.ZONE_WAVE, hours=3.0),
    ),
    Bug(
        "a-standby-costs-nothing",
        "savings that leave the standby out (ruling B12)",
        "9: the ledger says less than EC2's meter",
        (
            Edit(
                "store/ledger.py",
                "_OPEN = Prepared(sa.select(instances).where(_BILLED, ",
                "_OPEN = Prepared(sa.select(instances).where(_BILLED, _i.replica_id.is_(None), ",
            ),
        ),
        hunt(F.TOGGLES, F.NOTICE),
    ),
    Bug(
        "nan-is-a-price",
        "fastapi#4589, QwenPaw#7677: NaN passes for a number",
        "10: a poisoned price is stored",
        (
            Edit(
                "domain/money.py",
                "    if not price.is_finite():\n",
                "    if price.is_infinite():\n",
            ),
            Edit(
                "domain/money.py",
                "    if not ZERO < price < HIGHEST_PRICE:\n",
                "    if not price.is_nan() and not ZERO < price < HIGHEST_PRICE:\n",
            ),
            Edit(
                "domain/money.py",
                "    if rounded <= ZERO:\n",
                "    if not price.is_nan() and rounded <= ZERO:\n",
            ),
        ),
        hunt(F.POISONED_PRICES, F.CLICKS),
    ),
)
