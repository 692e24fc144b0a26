"""The server's machine loses its power: what somebody acts on is on the disk of its embedded database."""

import shutil

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.store import grants, tickets
from spotguard.store.database import Database
from spotguard.store.registration import Newcomer, register
from spotguard.store.tables import agent_tokens, epoch_grants, handover_tickets, instances
from tests.store.rows import NEW, NOW, OLD, client


class Power:
    """`cut` gives the database as it is after a power cut: what has been synced, and nothing that was not."""

    def __init__(self, folder):
        self.folder, self.cuts = folder, 0
        self.database = Database.open(f"sqlite:///{folder / 'x.db'}", sync=self._sync)
        self.database.upgrade()

    def _sync(self, log):
        for path in (log, self.folder / "x.db"):
            shutil.copy(path, self.folder / path.name.replace("x.db", "kept.db"))

    def cut(self):
        self.cuts += 1
        for name in ("kept.db", "kept.db-wal"):
            shutil.copy(self.folder / name, self.folder / name.replace("kept", f"cut{self.cuts}"))
        return Database.open(f"sqlite:///{self.folder / f'cut{self.cuts}.db'}")


@pytest.fixture
def power(tmp_path):
    made = Power(tmp_path)
    yield made
    made.database.dispose()


def enrols(power, client_id, instance_id):
    newcomer = Newcomer(
        logical_agent_id="web-1",
        instance_id=InstanceId(instance_id),
        boot_id="boot-1",
        pool=Pool("t3.medium", "ap-south-1a"),
        mode=Mode.ONDEMAND,
        ami_id="ami-0123456789abcdef0",
        agent_version="1",
        hostname="h",
        private_ip="10.0.0.1",
        public_ip=None,
    )
    return power.database.write(lambda tx: register(tx, NOW, client_id, newcomer))


def rows_after_a_cut(power, table):
    left = power.cut()
    found = left.read(lambda tx: tx.execute(sa.select(table)).all())
    left.dispose()
    return found


def test_an_epoch_that_was_granted_stays_granted_and_its_holder_known(power):
    enrols(power, client(power.database), OLD)
    assert [row.instance_id for row in rows_after_a_cut(power, epoch_grants)] == [OLD]
    assert [row.instance_id for row in rows_after_a_cut(power, agent_tokens)] == [OLD]


def test_a_ticket_that_may_have_been_heard_of_stays_out(power):
    client_id = client(power.database)
    agent_id = AgentId(enrols(power, client_id, OLD).agent_id)
    enrols(power, client_id, NEW)

    def issue(tx):
        standby = tx.execute(sa.select(instances).where(instances.c.id == NEW)).one()
        return tickets.issue(tx, NOW, agent_id, grants.holder(tx, agent_id), standby)

    issued = power.database.write(issue)
    assert [row.id for row in rows_after_a_cut(power, handover_tickets)] == [issued.id]
