"""An account on the wire that enforces permissions: roles with our policies, taken as a server and an agent take them.

moto checks signatures, trust and actions; neither resources (it asks for `*`, which no ARN matches, hence `for_moto`)
nor conditions. Those are judged by `tests.iam.evaluator` on the same calls.
"""

import json
from contextlib import ExitStack

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.cloud.simulated.wire.faults import Moment
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.planning.permissions import trust
from spotguard.planning.permissions.statements import document
from tests.wire.scene import client_of

EXTERNAL_ID = "external-id-of-this-client"


def for_moto(policy):
    """The same actions, of any resource: moto compares every Resource with `*`. Denials come with conditions or
    concern IAM alone: moto would take the former for unconditional, and the latter it never asks for.
    """
    allowed = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    told = [{**statement, "Resource": "*"} for statement in allowed]
    return {**policy, "Statement": told}


class EnforcedAccount:
    """A wire server around a simulated EC2; from `enforce()` on nobody does what no policy allows."""

    def __init__(self, ec2):
        self._stack = ExitStack()
        self.wire = self._stack.enter_context(WireServer(ec2))
        self.ec2, self.region, self.number = ec2, ec2.region, self.wire.account.number
        self.iam = client_of(self.wire.url, "iam", region=self.region)
        self.iam.create_user(UserName="spotguard")
        self.principal = f"arn:aws:iam::{self.number}:user/spotguard"
        self.iam.put_user_policy(
            UserName="spotguard", PolicyName="take", PolicyDocument=json.dumps(_may_assume(self.number))
        )
        self.key = self.iam.create_access_key(UserName="spotguard")["AccessKey"]

    def role(self, name, statements, *, trusted=None):
        """A role with the policy of these statements; its ARN."""
        told = trusted or trust.of_server(self.principal, EXTERNAL_ID)
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(told))
        self.set_policy(name, statements)
        return f"arn:aws:iam::{self.number}:role/{name}"

    def set_policy(self, name, statements):
        self.iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=json.dumps(for_moto(document(statements)))
        )

    def lend(self, tags, *more):
        """The owner tags his network, the images that his servers were made of, and more."""
        moto = self.wire.account.moto
        network = [
            *more,
            *(subnet.id for subnet in self.wire.account.subnets.values()),
            *moto.groups[moto.default_vpc.id],
        ]
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        client_of(self.wire.url, region=self.region).create_tags(Resources=network, Tags=listed)
        for image in list(self.ec2.world.images.values()):
            self.ec2.controls.retag(image.image_id, {**image.tags, **tags})

    def cloud(self, role_arn, external_id=EXTERNAL_ID):
        """As the server calls: by the shipped room, with the role taken."""
        return AwsCloud(Account(self.region, self.wire.url, role_arn, external_id))

    def enforce(self):
        self._stack.enter_context(self.wire.iam_enforced())

    def watch(self, watcher):
        """Told of each call that reaches the account, before it takes effect."""

        def before(call, moment):
            if moment is Moment.BEFORE:
                watcher(call)

        self.wire.faults.watch(before)

    def close(self):
        self._stack.close()


def _may_assume(number):
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": f"arn:aws:iam::{number}:role/*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
