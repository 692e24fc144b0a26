"""Rules about what the account allows: the type's markets, keys, quotas, permissions, zones."""

from __future__ import annotations

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.tags import ADOPTED_TAG, MANAGED_TAG
from spotguard.planning.eligibility.facts import Facts, Quota
from spotguard.planning.findings import Rule, Unseen, Verdict, care, fine, seen, stop

SPOT_ROLE = "AWSServiceRoleForEC2Spot"


def its_type_is_sold_as_spot(facts: Facts) -> Verdict:
    """DescribeInstanceTypes, SupportedUsageClasses."""
    facts_of_type = seen(facts.surroundings.type_facts)
    if facts_of_type.spot:
        return fine(f"{facts_of_type.instance_type} is sold as spot")
    return stop(
        f"{facts_of_type.instance_type} is not sold as spot in this region",
        "allow other types, or leave it on demand",
    )


def spot_may_open_its_encrypted_volumes(facts: Facts) -> Verdict:
    """A customer's key needs a grant to the spot service's role, or launches end at once."""
    volumes = seen(seen(facts.instance).volumes)
    if not any(volume.encrypted for volume in volumes):
        return fine("no volume is encrypted")
    keys = seen(facts.surroundings.keys)
    closed = [key for key in keys if not key.of_aws and key.granted is False]
    if closed:
        names = ", ".join(key.key_id for key in closed)
        return care(
            f"{SPOT_ROLE} has no grant for {names}: a spot launch from its snapshots would end while pending",
            f"aws kms create-grant --key-id {closed[0].key_id} --grantee-principal arn:aws:iam::ACCOUNT:role/"
            f"aws-service-role/spot.amazonaws.com/{SPOT_ROLE} --operations Decrypt Encrypt GenerateDataKey "
            "GenerateDataKeyWithoutPlaintext CreateGrant DescribeKey ReEncryptFrom ReEncryptTo",
        )
    for key in keys:
        if not key.of_aws:
            seen(key.granted)
    return fine("its volumes' keys are AWS's own, or granted to the spot service's role")


def spot_quota_holds_the_new_and_a_standby(facts: Facts) -> Verdict:
    """Quotas are in vCPUs per class; old, new and standby must fit together."""
    one, quota = seen(facts.surroundings.type_facts).vcpus, seen(facts.surroundings.spot_quota)
    told = _told(quota, f"a new one and a standby need {2 * one}")
    if quota.free >= 2 * one:
        return fine(told)
    mend = f"ask for {quota.used + 2 * one} or more in Service Quotas: {quota.name}"
    if quota.free >= one:
        return care(f"{told}: there is no room for a standby", mend)
    return stop(f"{told}: no spot instance of this type can be launched", mend)


def ondemand_quota_holds_a_way_back(facts: Facts) -> Verdict:
    """Or the fall-back fails at the worst time."""
    one, quota = seen(facts.surroundings.type_facts).vcpus, seen(facts.surroundings.ondemand_quota)
    runs_there = seen(facts.instance).mode is Mode.ONDEMAND
    needed = 0 if runs_there else one  # its own vCPUs come free when it has moved
    told = _told(quota, f"a way back needs {one}" + (", which it uses now" if runs_there else ""))
    if quota.free >= needed:
        return fine(told)
    return care(
        f"{told}: when no spot pool has capacity there is nowhere to go",
        f"ask for {quota.used + one} or more in Service Quotas: {quota.name}",
    )


def _told(quota: Quota, need: str) -> str:
    return f"{quota.name}: {quota.used} of {quota.limit} vCPUs in use; {need}"


def every_call_of_a_move_is_permitted(facts: Facts) -> Verdict:
    """Asked with DryRun, where EC2 offers it."""
    if facts.executor is Executor.SERVER:
        return fine("the server calls EC2 for this client: spotguard doctor checks its permissions there")
    permissions = seen(facts.surroundings.permissions)
    denied = [one for one in permissions if one.allowed is False]
    told = f"EC2 would refuse {', '.join(one.action for one in denied)} with these credentials"
    if denied and all(one.on_instance for one in denied) and not is_handed_over(facts):
        return care(
            f"{told}: as long as the instance is not handed over that is as it should be",
            f"tag it and its volumes with {ADOPTED_TAG} when its agent has an id; then spotguard doctor looks again",
        )
    if denied:
        return stop(
            told,
            "attach what spotguard iam policy agent prints (docs/permissions.md), or let the server call EC2 "
            "(--executor server)",
        )
    if unclear := [f"{one.action}: {one.because}" for one in permissions if one.allowed is None]:
        seen(Unseen(f"EC2 answered the dry run otherwise ({'; '.join(unclear)})"))
    return fine(f"EC2 would allow {', '.join(one.action for one in permissions)}")


def its_owner_has_handed_it_over(facts: Facts) -> Verdict:
    """SpotGuard ends what it has made, and what its owner has tagged for it."""
    tags = seen(facts.instance).tags
    if MANAGED_TAG in tags:
        return fine("SpotGuard launched it, and may end it after a move")
    if ADOPTED_TAG in tags:
        return fine(
            f"it is tagged {ADOPTED_TAG}={tags[ADOPTED_TAG]}: SpotGuard may end it after a move if that is its agent's "
            "id, which spotguard doctor compares"
        )
    return care(
        f"it has no tag {ADOPTED_TAG}: after a move SpotGuard leaves it running, and both are billed",
        f"when its agent has registered: aws ec2 create-tags --resources INSTANCE VOLUMES --tags Key={ADOPTED_TAG},"
        "Value=AGENT-ID; spotguard doctor shows the line",
    )


def is_handed_over(facts: Facts) -> bool:
    tags = seen(facts.instance).tags
    return ADOPTED_TAG in tags or MANAGED_TAG in tags


def a_standby_can_live_in_another_zone(facts: Facts) -> Verdict:
    """A standby in the primary's pool is worth almost nothing: interruptions of a pool come together."""
    others = [az for az in seen(facts.surroundings.zones) if az != seen(facts.instance).az]
    if others:
        return fine(f"its VPC has subnets with room in {', '.join(others)} too")
    return care(
        "its VPC has no subnet with room in another zone: a standby shares its zone, and moves have one place to go",
        "add a subnet in another zone",
    )


RULES: tuple[Rule[Facts], ...] = (
    Rule(its_type_is_sold_as_spot, "DescribeInstanceTypes"),
    Rule(spot_may_open_its_encrypted_volumes, "docs/enrolment.md"),
    Rule(spot_quota_holds_the_new_and_a_standby, "docs/enrolment.md"),
    Rule(ondemand_quota_holds_a_way_back, "docs/enrolment.md"),
    Rule(every_call_of_a_move_is_permitted, "docs/enrolment.md"),
    Rule(its_owner_has_handed_it_over, "docs/enrolment.md"),
    Rule(a_standby_can_live_in_another_zone, "docs/enrolment.md"),
)
