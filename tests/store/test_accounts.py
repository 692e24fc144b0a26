"""Where a client's instances live: never said to be elsewhere while they run."""

from datetime import timedelta

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.store import accounts
from spotguard.store import tables as t
from tests.store import rows
from tests.store.rows import NOW

HERE, ELSEWHERE = "ap-south-1", "eu-west-1"


@pytest.fixture
def client_id(database):
    client_id = rows.with_agent(database)
    name(database, client_id, HERE)
    return client_id


def name(database, client_id, region, role=None):
    return database.write(lambda tx: accounts.set_account(tx, NOW + timedelta(1), client_id, region, role))


def test_another_region_is_refused_while_ec2_has_shown_a_machine_that_may_run(database, client_id):
    """Absent there by id and by tag, and the account answers: it would count as terminated, and be replaced."""
    machine = rows.instance(client_id, agent_id="agent-1", ec2_state="running", region=HERE)
    rows.add(database, t.instances, **machine)
    with pytest.raises(InvalidInput, match=f"{machine['id']} of this client are not known to have ended"):
        name(database, client_id, ELSEWHERE)
    assert database.read(lambda tx: accounts.account_of(tx, client_id)).region == HERE
    assert name(database, client_id, HERE).region == HERE


@pytest.mark.parametrize("told", [{"ec2_state": "terminated", "is_active": False}, {"ec2_state": None}])
def test_what_has_ended_or_was_never_looked_for_is_in_nobodys_way(database, client_id, told):
    rows.add(database, t.instances, **rows.instance(client_id, agent_id="agent-1", region=HERE, **told))
    assert name(database, client_id, ELSEWHERE).region == ELSEWHERE


ROLE, ALIKE, ANOTHERS = (
    f"arn:aws:iam::{number}:role/{name}"
    for number, name in ((111122223333, "spotguard"), (111122223333, "operate"), (444455556666, "spotguard"))
)


def test_nor_is_a_role_of_another_account_taken(database, client_id):
    name(database, client_id, HERE, ROLE)
    machine = rows.instance(client_id, agent_id="agent-1", ec2_state="running", region=HERE)
    rows.add(database, t.instances, **machine)
    with pytest.raises(
        InvalidInput, match=f"{machine['id']} .* are in the account 111122223333, not in 4444"
    ):
        name(database, client_id, HERE, ANOTHERS)
    assert name(database, client_id, HERE, ALIKE).role_arn == ALIKE


def test_a_role_of_another_account_is_taken_once_nothing_runs(database, client_id):
    name(database, client_id, HERE, ROLE)
    told = {"ec2_state": "terminated", "is_active": False}
    rows.add(database, t.instances, **rows.instance(client_id, agent_id="agent-1", region=HERE, **told))
    assert name(database, client_id, HERE, ANOTHERS).role_arn == ANOTHERS
