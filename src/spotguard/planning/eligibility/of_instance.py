"""Rules about what EC2 shows of the instance, and what a spot clone of it would be."""

from __future__ import annotations

from collections.abc import Mapping

from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.domain.tags import MANAGED_TAG
from spotguard.planning.eligibility.facts import Facts
from spotguard.planning.findings import Rule, Unseen, Verdict, care, fine, seen, stop
from spotguard.planning.switching import ROOT_DEVICES, STATE_DEVICE

OWNERS: Mapping[str, str] = {
    "aws:autoscaling:groupname": "an Auto Scaling group",
    "eks:cluster-name": "an EKS cluster",
    "aws:eks:cluster-name": "an EKS cluster",
    "alpha.eksctl.io/cluster-name": "an EKS cluster",
    "aws:ecs:clustername": "an ECS cluster",
    "amazonecsmanaged": "an ECS cluster",
    "elasticbeanstalk:environment-name": "an Elastic Beanstalk environment",
    "awsbatchservicetag": "AWS Batch",
    "aws:ec2:fleet-id": "an EC2 Fleet",
    "aws:ec2spot:fleet-request-id": "a Spot Fleet",
    "aws:elasticmapreduce:job-flow-id": "an EMR cluster",
}
"""Tags (in lower case) that a service sets on the instances that it ends and replaces by itself."""
_KUBERNETES = "kubernetes.io/cluster/"
_STACK = "aws:cloudformation:stack-name"


def nothing_else_owns_it(facts: Facts) -> Verdict:
    """A group replaces what is taken from it; a stack drifts (docs/scope.md)."""
    if facts.machine.is_node:
        return stop(
            "kubelet runs here: it is a node of a Kubernetes cluster, which moves its work itself",
            "let the cluster use spot (Karpenter, node groups), or take the machine out of it",
        )
    tags = seen(facts.instance).tags
    owners = [f"{who} ({tags[key]})" for key in tags for who in [_owner(key)] if who]
    if owners:
        return stop(
            f"it belongs to {', '.join(owners)}, which replaces its members itself",
            "let that service use spot, or take the instance out of it",
        )
    if _STACK in tags:
        return care(
            f"the CloudFormation stack {tags[_STACK]} made it: after a move the stack describes an instance that is "
            "gone, and its next update may make a second one",
            "keep the instance out of the stack's updates, or remove it from the stack (DeletionPolicy: Retain)",
        )
    return fine("no tag names a group, a cluster or a stack")


def _owner(key: str) -> str:
    lower = key.lower()
    return OWNERS.get(lower, "a Kubernetes cluster" if lower.startswith(_KUBERNETES) else "")


def no_spot_request_brings_it_back(facts: Facts) -> Verdict:
    """Whoever ends what a persistent spot request has launched gets another one, billed, in its place."""
    request = seen(seen(facts.instance).persistent_request)
    if request:
        return stop(
            f"the persistent spot request {request} has launched it: when it ends, by a move or by AWS, EC2 launches "
            "another one in its place, which nobody asked for and which is billed",
            f"cancel the request first, the instance runs on: aws ec2 cancel-spot-instance-requests "
            f"--spot-instance-request-ids {request}",
        )
    return fine("no persistent spot request has launched it")


def its_image_may_run_on_spot(facts: Facts) -> Verdict:
    """Product codes bind an image to its billing."""
    instance = seen(facts.instance)
    if instance.platform.lower().startswith("windows"):
        return stop("it runs Windows: SpotGuard's agent needs Linux", "nothing here; leave it as it is")
    kinds = instance.product_codes
    if paid := [code for code, kind in kinds.items() if kind != "marketplace"]:
        return stop(
            f"its image has billing codes ({', '.join(paid)}) that a copy would have to carry",
            "move the workload to an image without them",
        )
    if kinds:
        return care(
            f"its image comes from the Marketplace ({', '.join(kinds)}): the seller decides which types may run it, "
            "and a launch elsewhere may be refused as UnsupportedOperation",
            "allow only types that the seller lists",
        )
    if not instance.platform.startswith("Linux/UNIX"):
        return care(
            f"it runs {instance.platform}: its images carry the billing code only when EC2 makes them from the "
            "instance; one made from a snapshot loses it",
            "do not rely on recovery from a snapshot of its root volume",
        )
    return fine("plain Linux: no billing code")


def its_image_holds_the_agent(facts: Facts) -> Verdict:
    """A clone boots the image, not the disk: what was installed on a running machine is not in it."""
    instance = seen(facts.instance)
    if MANAGED_TAG in instance.tags:
        return fine("SpotGuard launched it, with an agent")
    return care(
        f"if agent and workload were installed after its launch, {instance.image_id} holds neither: what is launched "
        "from it never enrols, and until there is an image of this machine nothing protects it",
        "when its agent has registered: spotguard configure AGENT restorePointHours=24, and a restore drill when the "
        "first is complete",
    )


def its_root_is_on_ebs(facts: Facts) -> Verdict:
    """Only an EBS root can be imaged, kept and moved."""
    if seen(facts.instance).root_device == "ebs":
        return fine("its root is an EBS volume")
    return stop(
        "its root lies in an instance store: there is nothing to keep or to copy",
        "make an EBS-backed image of it first",
    )


def its_root_is_named_as_roots_are(facts: Facts) -> Verdict:
    """Every other device, and no device of these names, is taken for the state."""
    instance = seen(facts.instance)
    root, known = instance.root_name, " or ".join(sorted(ROOT_DEVICES))
    if root and root not in ROOT_DEVICES:
        return stop(
            f"its root is named {root}, not {known}: it would be taken for the state, detached by a move and "
            "attached to machines that have a root of their own",
            f"register its image anew with the root named {min(ROOT_DEVICES)}, and launch it from that",
        )
    more = [v for v in seen(instance.volumes) if v.device in ROOT_DEVICES and root and v.device != root]
    if more:
        return stop(
            f"{more[0].volume_id} is attached as {more[0].device} beside the root {root}: it would be taken for a "
            "root, not kept when the instance ends and left behind by every move",
            f"stop the instance and attach it under another name, such as {STATE_DEVICE}",
        )
    return fine(f"its root is named {root or 'as EC2 does not tell'}, and no other volume as one")


def no_volume_is_attached_where_a_look_goes(facts: Facts) -> Verdict:
    """A copy of a dead holder's volume is attached there; a live one by that name is taken for it."""
    volumes = seen(seen(facts.instance).volumes)
    taken = [volume.volume_id for volume in volumes if volume.device == SALVAGE_DEVICE]
    if taken:
        return care(
            f"{taken[0]} is attached as {SALVAGE_DEVICE}: after a death nobody can look at what a standby was missing, "
            "and a state on it is neither served nor sent where the agent has no memory of it",
            f"stop the instance and attach it under another name, such as {STATE_DEVICE}",
        )
    return fine(f"nothing is attached as {SALVAGE_DEVICE}")


def no_volume_is_attached_to_several(facts: Facts) -> Verdict:
    """Single attachment is the fence: what several machines may have at once (Multi-Attach) fences nobody."""
    shared = [volume.volume_id for volume in seen(seen(facts.instance).volumes) if volume.shared]
    if shared:
        return stop(
            f"{', '.join(shared)} may be attached to several machines at once (Multi-Attach): it is never moved, that "
            "another machine has it proves nothing, and after a death a person has to detach it from every other one",
            "copy what is on it to a volume without Multi-Attach, and attach that in its place",
        )
    return fine("none of its volumes may be attached to several machines")


def it_does_not_hibernate(facts: Facts) -> Verdict:
    """EC2 makes no snapshots of hibernating instances. Stopped, it proves no death."""
    if seen(facts.instance).hibernates:
        return stop(
            "hibernation is configured: EC2 makes no usable snapshot of it, nobody takes over from it while it is "
            "stopped, since it may wake and serve on, and this cannot be changed after launch",
            "launch it anew without hibernation",
        )
    return fine("hibernation is not configured")


def its_place_can_be_copied(facts: Facts) -> Verdict:
    """Hosts, groups, reservations and licences bind it to a place."""
    instance = seen(facts.instance)
    if instance.tenancy == "host":
        return stop(
            "it runs on a Dedicated Host, where no spot instance can", "leave it, or give up the host"
        )
    bound = [
        *([f"placement group {instance.placement_group}"] if instance.placement_group else ()),
        *(["dedicated tenancy"] if instance.tenancy == "dedicated" else ()),
        *([f"capacity reservation {instance.reservation}"] if instance.reservation else ()),
        *([f"licence configuration {name}" for name in instance.licences]),
        *(["a Nitro enclave"] if instance.enclave else ()),
    ]
    if bound:
        return care(
            f"it is bound to {', '.join(bound)}: a clone is launched without a group, a reservation or a licence, and "
            "fewer spot pools offer dedicated tenancy",
            "give up what it does not need; what it needs keeps it where it is",
        )
    return fine("shared tenancy, no placement group, reservation or licence")


def one_plain_interface_is_enough(facts: Facts) -> Verdict:
    """A clone gets one new interface; others, EFA and forwarding stay behind."""
    interfaces = seen(facts.instance).interfaces
    special = [one.interface_id for one in interfaces if one.kind != "interface"]
    if special or len(interfaces) > 1:
        what = f"{len(interfaces)} network interfaces" + (
            f", of which {', '.join(special)} is special (EFA or the like)" if special else ""
        )
        return stop(
            f"it has {what}: a clone is launched with one plain interface",
            "bring the workload to one interface; extra addresses can be secondary ones",
        )
    if any(one.forwards for one in interfaces):
        return stop(
            "its source/destination check is off, so that it forwards what is others' (NAT, VPN, router): a clone has "
            "the check on, and EC2 drops that silently",
            "leave it, or let a NAT gateway or a transit gateway do it",
        )
    return fine("it has one plain network interface")


def its_private_address_is_not_needed(facts: Facts) -> Verdict:
    """The primary address ends with the instance; a secondary one moves within its zone."""
    instance = seen(facts.instance)
    secondary = [ip for one in instance.interfaces for ip in one.secondary_ips]
    if secondary:
        return care(
            f"{instance.private_ip} ends with the instance; {', '.join(secondary)} can follow the workload within "
            f"{instance.az} only",
            "let clients use the secondary address and allow only this zone, or use a load balancer or DNS",
        )
    return care(
        f"its private address {instance.private_ip} is not kept: a clone has another",
        "whoever uses it has to find the workload by load balancer, Elastic IP, DNS, or a secondary address in the "
        "same zone; see what points at it below",
    )


def its_public_address_stays(facts: Facts) -> Verdict:
    """An auto-assigned address changes on every launch."""
    instance = seen(facts.instance)
    if instance.public_ip is None:
        return fine("it has no public address")
    if instance.elastic:
        return care(
            f"{instance.public_ip} is an Elastic IP: it stays with the account, and somebody has to move it",
            "name it as the workload's traffic, or put a load balancer before it",
        )
    return care(
        f"its public address {instance.public_ip} was assigned at launch and will change",
        "give it an Elastic IP, or let clients use a name",
    )


def its_credits_are_not_unlimited(facts: Facts) -> Verdict:
    """Unlimited bursting on short-lived spot bills surplus credits at the end."""
    if seen(seen(facts.instance).credits) == "unlimited":
        return care(
            "it bursts without limit: credits that it has saved are lost with each move, and surplus ones are billed "
            "when a spot instance ends",
            "set the credits to standard, or move it to a type of constant performance",
        )
    return fine("no unlimited CPU credits")


def its_metadata_service_wants_tokens(facts: Facts) -> Verdict:
    """The notices come through it; IMDSv1 and hop limits are copied to the clone."""
    instance = seen(facts.instance)
    if not instance.metadata_enabled:
        return stop(
            "the metadata service is off: interruption notices cannot be read",
            f"aws ec2 modify-instance-metadata-options --instance-id {instance.instance_id} --http-endpoint enabled",
        )
    if not instance.tokens_required:
        return care(
            "the metadata service answers without a token (IMDSv1): whoever can make the workload fetch an address "
            "reads its role's credentials; a clone copies this",
            f"aws ec2 modify-instance-metadata-options --instance-id {instance.instance_id} --http-tokens required",
        )
    engines = facts.machine.containers
    if instance.hop_limit == 1 and not isinstance(engines, Unseen) and engines:
        return care(
            f"{', '.join(engines)} runs and the hop limit is 1: software in containers cannot read the metadata",
            "raise the hop limit to 2 if it has to; the agent itself runs on the host and does not need it",
        )
    return fine("the metadata service is on and wants tokens")


def it_is_not_protected_from_termination(facts: Facts) -> Verdict:
    """Spot has no termination protection, and the old instance has to be ended."""
    if seen(seen(facts.instance).protected):
        return care(
            "it is protected from termination: a spot instance cannot be, and EC2 will refuse to end this one after a "
            "move, so that both are billed",
            "turn auto-terminate off for it, or take the protection away when you trust the move",
        )
    return fine("no termination protection, which spot would lose")


def it_has_the_enhanced_network_driver(facts: Facts) -> Verdict:
    """Current types need ENA."""
    if seen(facts.instance).ena:
        return fine("its image declares the ENA driver")
    return care(
        "its image does not declare the ENA driver: only types of older generations can run a copy",
        "install the driver and set the image's ENA attribute",
    )


RULES: tuple[Rule[Facts], ...] = (
    Rule(nothing_else_owns_it, "docs/scope.md"),
    Rule(no_spot_request_brings_it_back, "docs/enrolment.md"),
    Rule(its_image_may_run_on_spot, "docs/enrolment.md"),
    Rule(its_image_holds_the_agent, "docs/enrolment.md"),
    Rule(its_root_is_on_ebs, "docs/enrolment.md"),
    Rule(its_root_is_named_as_roots_are, "docs/enrolment.md"),
    Rule(no_volume_is_attached_where_a_look_goes, "docs/state-sync.md"),
    Rule(no_volume_is_attached_to_several, "docs/primacy.md"),
    Rule(it_does_not_hibernate, "docs/primacy.md"),
    Rule(its_place_can_be_copied, "docs/enrolment.md"),
    Rule(one_plain_interface_is_enough, "docs/enrolment.md"),
    Rule(its_private_address_is_not_needed, "docs/enrolment.md"),
    Rule(its_public_address_stays, "docs/enrolment.md"),
    Rule(its_credits_are_not_unlimited, "docs/enrolment.md"),
    Rule(its_metadata_service_wants_tokens, "docs/enrolment.md"),
    Rule(it_is_not_protected_from_termination, "docs/enrolment.md"),
    Rule(it_has_the_enhanced_network_driver, "docs/enrolment.md"),
)
