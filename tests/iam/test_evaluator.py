"""The evaluator says what the IAM User Guide says; the sentence beside each case is the guide's, in short."""

import pytest

from tests.iam.evaluator import Decision, NotJudged, Request, conditions_hold, decide

OWNED = "aws:ResourceTag/owner"
KEYS = "aws:TagKeys"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action="ec2:*", resource="*", **more):
    return {"Sid": "Yes", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action="ec2:*", resource="*", **more):
    return {**allow(action, resource, **more), "Sid": "No", "Effect": "Deny"}


def instance(region="eu-west-1", account="123456789012", name="i-1"):
    return f"arn:aws:ec2:{region}:{account}:instance/{name}"


class TestTheDecision:
    """Policy evaluation logic: denied by default; an allow overrides it; an explicit deny overrides any allow."""

    @pytest.mark.parametrize(
        ("statements", "decision"),
        [
            ([], Decision(False)),
            ([allow()], Decision(True, "Yes")),
            ([allow(), deny()], Decision(False, "No")),
            ([deny(), allow()], Decision(False, "No")),
            ([allow("s3:*")], Decision(False)),
            ([allow(), deny("s3:*")], Decision(True, "Yes")),
        ],
    )
    def test_of_several_statements(self, statements, decision):
        assert decide(policy(*statements), Request("ec2:StopInstances")) == decision

    @pytest.mark.parametrize("strange", [{"Principal": "*"}, {"Unknown": "x"}])
    def test_what_it_does_not_know_it_does_not_judge(self, strange):
        with pytest.raises(NotJudged):
            decide(policy({**allow(), **strange}), Request("ec2:StopInstances"))

    @pytest.mark.parametrize(
        "condition",
        [
            {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
            {"StringEquals": {"aws:username": "${aws:username}"}},
            {"ForSomeValues:StringEquals": {KEYS: "a"}},
        ],
    )
    def test_nor_an_operator_or_a_variable(self, condition):
        with pytest.raises(NotJudged):
            decide(
                policy(allow(Condition=condition)),
                Request("ec2:StopInstances", context={"aws:username": "x"}),
            )


class TestActions:
    @pytest.mark.parametrize(
        ("pattern", "action", "named"),
        [
            ("ec2:RunInstances", "ec2:RunInstances", True),
            ("ec2:runinstances", "ec2:RunInstances", True),  # not case-sensitive
            ("ec2:Run*", "ec2:RunInstances", True),
            ("ec2:*Instances", "ec2:RunInstances", True),
            ("ec2:Run?nstances", "ec2:RunInstances", True),
            ("*", "ec2:RunInstances", True),
            ("ec2:RunInstance", "ec2:RunInstances", False),
            ("ec2:Describe*", "ec2:RunInstances", False),
            ("s3:*", "ec2:RunInstances", False),
            ("ec2:[R]un*", "ec2:RunInstances", False),  # only * and ? are wild
        ],
    )
    def test_patterns(self, pattern, action, named):
        assert decide(policy(allow(pattern)), Request(action)).allowed is named

    def test_all_but(self):
        """NotAction: everything that is not listed."""
        told = {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}
        assert decide(policy(told), Request("ec2:RunInstances")).allowed
        assert not decide(policy(told), Request("iam:PassRole")).allowed


class TestResources:
    @pytest.mark.parametrize(
        ("pattern", "resource", "named"),
        [
            ("*", instance(), True),
            (instance(), instance(), True),
            (instance(name="*"), instance(), True),
            (instance(name="i-?"), instance(), True),
            (instance(account="*"), instance(), True),
            (instance(region="*"), instance(), True),
            ("arn:aws:ec2:*:*:*/*", instance(), True),
            (instance(name="i-2"), instance(), False),
            (instance(account="210987654321"), instance(), False),
            (instance(region="eu-west-2"), instance(), False),
            ("arn:aws:ec2:eu-west-1::image/*", instance(), False),
            ("arn:aws:ec2:*:instance/*", instance(), False),  # a wildcard does not span parts
            (instance().upper(), instance(), False),  # case-sensitive
        ],
    )
    def test_patterns(self, pattern, resource, named):
        assert (
            decide(policy(allow(resource=pattern)), Request("ec2:StopInstances", resource)).allowed is named
        )

    def test_all_but(self):
        told = {"Effect": "Deny", "Action": "ec2:*", "NotResource": instance()}
        both = policy(allow(), told)
        assert decide(both, Request("ec2:StopInstances", instance())).allowed
        assert not decide(both, Request("ec2:StopInstances", instance(name="i-2"))).allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "holds"),
    [
        # "If the key is not present in the request context, the values do not match and the condition is false."
        ("StringEquals", "ann", "ann", True),
        ("StringEquals", "ann", "Ann", False),
        ("StringEquals", "ann", None, False),
        ("StringEquals", ["ann", "bob"], "bob", True),
        ("StringEquals", "a*", "ann", False),
        ("StringEqualsIgnoreCase", "ann", "ANN", True),
        # "If the policy condition requires that the key is not matched and the key is not present, it is true."
        ("StringNotEquals", "ann", "ann", False),
        ("StringNotEquals", "ann", "bob", True),
        ("StringNotEquals", "ann", None, True),
        ("StringNotEquals", ["ann", "bob"], "bob", False),  # several values of a negated operator: NOR
        ("StringNotEquals", ["ann", "bob"], "eve", True),
        ("StringLike", "a*", "ann", True),
        ("StringLike", "a?n", "ann", True),
        ("StringLike", "a*", "bob", False),
        ("StringLike", "a*", None, False),
        ("StringNotLike", "a*", "ann", False),
        ("StringNotLike", "a*", None, True),
        # With IfExists a missing key makes the condition true.
        ("StringEqualsIfExists", "ann", None, True),
        ("StringEqualsIfExists", "ann", "bob", False),
        ("StringLikeIfExists", "a*", "ann", True),
        # Null asks whether the key is missing.
        ("Null", "true", None, True),
        ("Null", "true", "ann", False),
        ("Null", "false", None, False),
        ("Null", "false", "ann", True),
        ("Null", "false", "", True),
        ("Bool", "true", "true", True),
        ("Bool", "true", "false", False),
        ("Bool", "true", None, False),
        ("Bool", "false", None, False),
        ("ArnEquals", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/web", True),
        ("ArnLike", "arn:aws:iam::*:role/web", "arn:aws:iam::123456789012:role/web", True),
        ("ArnLike", "arn:aws:iam:*:role/web", "arn:aws:iam::123456789012:role/web", False),
        ("ArnNotEquals", "arn:aws:iam::123456789012:role/web", "arn:aws:iam::123456789012:role/web", False),
        ("ArnNotLike", "arn:aws:iam::123456789012:role/web", None, True),
        # For all values: every value of the request matches, or it has none.
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a", "b"], None, True),
        ("ForAllValues:StringLike", ["spotguard:*"], ["spotguard:managed", "Name"], False),
        # For any value: one value of the request matches; it must have one.
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], None, False),
        ("ForAnyValue:StringLike", ["spotguard:*"], ["spotguard:managed", "Name"], True),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
    ],
)
def test_condition_operators(operator, wanted, found, holds):
    context = {} if found is None else {KEYS: found}
    assert conditions_hold({operator: {KEYS: wanted}}, context) is holds


def test_all_keys_of_all_operators_must_hold():
    """Several keys and operators are joined by AND."""
    both = {"StringEquals": {OWNED: "ann", "ec2:Region": "eu-west-1"}, "Null": {KEYS: "true"}}
    assert conditions_hold(both, {OWNED: "ann", "ec2:Region": "eu-west-1"})
    assert not conditions_hold(both, {OWNED: "ann", "ec2:Region": "eu-west-2"})
    assert not conditions_hold(both, {OWNED: "bob", "ec2:Region": "eu-west-1"})
    assert not conditions_hold(both, {OWNED: "ann", "ec2:Region": "eu-west-1", KEYS: ["a"]})


def test_names_of_keys_are_not_case_sensitive():
    assert conditions_hold({"StringEquals": {"AWS:requestedregion": "x"}}, {"aws:RequestedRegion": "x"})


class TestExamplesOfTheGuides:
    """Of the EC2 User Guide ("Example policies to control access the Amazon EC2 API"), and what it says of them."""

    def test_tagging_at_creation_and_not_after(self):
        """ "Users are not permitted to tag any existing resources (they cannot call ec2:CreateTags directly)." """
        told = policy(
            allow("ec2:RunInstances"),
            allow(
                "ec2:CreateTags",
                "arn:aws:ec2:us-east-1:111122223333:*/*",
                Condition={"StringEquals": {"ec2:CreateAction": "RunInstances"}},
            ),
        )
        made = instance("us-east-1", "111122223333", "*")
        assert decide(told, Request("ec2:CreateTags", made, {"ec2:CreateAction": "RunInstances"})).allowed
        assert not decide(told, Request("ec2:CreateTags", made, {"ec2:CreateAction": "CreateVolume"})).allowed
        assert not decide(told, Request("ec2:CreateTags", made)).allowed

    def test_nothing_outside_of_a_region(self):
        """ "Denies permission to use all actions unless the Region is Europe (Frankfurt)." """
        told = policy(allow(), deny(Condition={"StringNotEquals": {"ec2:Region": "eu-central-1"}}))
        assert decide(told, Request("ec2:StopInstances", context={"ec2:Region": "eu-central-1"})).allowed
        assert not decide(told, Request("ec2:StopInstances", context={"ec2:Region": "eu-west-1"})).allowed

    def test_start_and_stop_of_the_owners_own(self):
        told = policy(
            allow("ec2:St*Instances", instance("*", "*", "*"), Condition={"StringEquals": {OWNED: "ann"}}),
            allow("ec2:DescribeInstances"),
        )
        assert decide(told, Request("ec2:StopInstances", instance(), {OWNED: "ann"})).allowed
        assert not decide(told, Request("ec2:StopInstances", instance(), {OWNED: "bob"})).allowed
        assert not decide(told, Request("ec2:StopInstances", instance())).allowed
        assert decide(told, Request("ec2:DescribeInstances")).allowed
