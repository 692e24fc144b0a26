"""Sees every call before it takes effect and judges it by the policy of the role that makes it."""

from collections import Counter

from moto.sts.models import sts_backends

from spotguard.planning.permissions.statements import document
from tests.iam.evaluator import decide
from tests.iam.requests import Reading

_FREE = frozenset(
    {"GetCallerIdentity", "AssumeRole"}
)  # the first needs no permission, the second is the trust's matter


class Witness:
    """`policies`: the statements of each role by its ARN."""

    def __init__(self, account, policies):
        self._account = account
        self.statements = policies
        self.judged = 0
        self._reading = Reading(account.wire)
        self._policies = {arn: document(statements) for arn, statements in policies.items()}
        self.called = {
            arn: Counter() for arn in policies
        }  # by role: actions, those that a call implies included
        self.used = {arn: Counter() for arn in policies}  # by role: statements that allowed something
        self.refused = []  # (role, request)
        account.watch(self.see)

    def see(self, call):
        role = self._role_of(call.access_key)
        if role not in self._policies or call.action in _FREE:
            return
        for request in self._reading.of(call):
            decision = decide(self._policies[role], request)
            self.judged += 1
            self.called[role][request.action] += 1
            if decision.allowed:
                self.used[role][decision.by] += 1
            else:
                self.refused.append((role, request))

    def _role_of(self, access_key):
        taken = sts_backends[self._account.number]["aws"].assumed_roles
        return next((one.role_arn for one in taken if one.access_key_id == access_key), None)
