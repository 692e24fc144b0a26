"""A world on the wire under enforced permissions: server and agents call EC2 with the policies of their roles alone."""

import os
from contextlib import contextmanager

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import DENY
from spotguard.ports.shape import USER_DATA_TAG
from spotguard.simulation.world import Reach
from tests.iam.account import EnforcedAccount
from tests.iam.witness import Witness
from tests.stories.scene import Scene

INSTALLATION = "demo"  # of the simulated world


def scope_of(account, **more):
    return Scope(installation=INSTALLATION, region=account.region, account=account.number, **more)


def without(table, *actions):
    """The same statements less these actions."""
    kept = [(s, tuple(a for a in s.actions if a not in actions or s.effect == DENY)) for s in table]
    return tuple(
        statement.__class__(**{**vars(statement), "actions": left}) for statement, left in kept if left
    )


class EnforcedScene(Scene):
    """`lacking`: actions that the server's role does not get, so that a run can show that it needs them."""

    def __init__(self, agents=1, executor=Executor.SERVER, lacking=(), *, server_calls=True):
        self._lacking, self._server_calls, self.agents_count = lacking, server_calls, agents
        super().__init__(agents, executor=executor, reach=self._reach)

    def _reach(self, ec2):
        self.account = EnforcedAccount(ec2)
        lent = self.account.key
        os.environ |= {
            "AWS_ACCESS_KEY_ID": lent["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": lent["SecretAccessKey"],
        }
        scope = scope_of(self.account)
        operate = without(statements(Role.OPERATE, scope), *self._lacking)
        agent = statements(Role.AGENT, scope)
        self.server, self.agents = self.account.role("operate", operate), self.account.role("agent", agent)
        self.witness = Witness(self.account, {self.server: operate, self.agents: agent})
        self.account.lend({ADOPTED_TAG: "everybody"})
        self.account.enforce()
        server = self.account.cloud(self.server) if self._server_calls else None
        return Reach(server, self.account.cloud(self.agents))

    def close(self):
        super().close()
        self.account.close()

    # what people do

    def move(self, name, kind):
        """A user moves it, by this kind of move."""
        row = self.agent(name)
        pools = self.get(f"/api/client/instances/{row.instance_id}/pricing")["pools"]
        same_zone = kind == "volume"
        target = next(pool["id"] for pool in pools if pool["allowed"] and (pool["az"] == row.az) == same_zone)
        wish = {"target": "pool", "pool_id": target, "kind": kind}
        self.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)

    def keeps_its_user_data(self, name):
        """Its owner wants them on every clone."""
        self.world.ec2.controls.tag(InstanceId(self.agent(name).instance_id), {USER_DATA_TAG: "keep"})

    def is_through(self, name):
        """Its newest move has left nothing to do."""
        found = self.switches(name)
        return bool(found) and found[-1].status == "completed"

    # what AWS does

    def dies(self, name):
        """Without a word."""
        dead = self.agent(name).instance_id
        self.world.ec2.controls.fail_instance(InstanceId(dead))
        return dead

    def nothing_in_the_zone_of(self, name):
        row, ec2 = self.agent(name), self.world.ec2
        for pool in ec2.pools():
            if pool.az == row.az:
                for mode in ("spot", "ondemand"):
                    ec2.controls.make_dry(pool, mode=mode)


@contextmanager
def lent_environment():
    """The credentials of a process are its environment's."""
    with pytest.MonkeyPatch.context() as lent:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            lent.setenv(name, "to-be-lent")
        lent.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@contextmanager
def enforced(**more):
    """One at a time: moto enforces for the whole process."""
    with lent_environment():
        scene = EnforcedScene(**more)
        try:
            yield scene
        finally:
            scene.close()
