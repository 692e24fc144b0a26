"""Every rule of the eligibility report, in each colour that it has."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import VolumeId
from spotguard.domain.instances import Mode
from spotguard.planning.eligibility import of_account, of_instance, of_machine
from spotguard.planning.eligibility.facts import (
    Database,
    Disk,
    DiskKind,
    FstabEntry,
    Interface,
    Key,
    Permission,
    Quota,
    StoppedWith,
    Unit,
    Volume,
    nothing_seen,
)
from spotguard.planning.eligibility.pointers import ADVICE, PointerKind
from spotguard.planning.eligibility.report import RULES, in_the_way, report
from spotguard.planning.findings import Grade, Unseen, examine
from tests.planning.enrolment import GOOD, TYPE, around, instance, machine

FINE, CARE, STOP, UNKNOWN = Grade.FINE, Grade.CARE, Grade.STOP, Grade.UNKNOWN
BLIND = Unseen("nobody may look")
ROOT = Disk("nvme0n1", DiskKind.EBS, ("/",))
ENCRYPTED = Volume(VolumeId("vol-1"), "/dev/xvda", encrypted=True, key_id="key-1")
AS_A_ROOT = Volume(VolumeId("vol-8"), "/dev/sda1", encrypted=False)
FOR_A_LOOK = Volume(VolumeId("vol-9"), "/dev/sdy", encrypted=False)
SHARED = Volume(VolumeId("vol-7"), "/dev/sdf", encrypted=False, shared=True)


def store(*mounted_at):
    return machine(disks=(ROOT, Disk("nvme1n1", DiskKind.INSTANCE_STORE, mounted_at)))


def postgres(folder="/srv/web/db", *, running=True, replicated=False):
    return machine(databases=(Database("PostgreSQL", folder, running, replicated),))


def unit(**more):
    return machine(unit=Unit("web.service", **{"exists": True, **more}))


def key(granted, *, of_aws=False):
    facts = instance(volumes=(ENCRYPTED,))
    keys = (Key("key-1", of_aws, granted),)
    return replace(facts, surroundings=replace(facts.surroundings, keys=keys))


def before_the_tag(*, on_instance):
    """EC2 refuses a call, and nobody has tagged the instance."""
    denied = Permission("ec2:CreateImage", allowed=False, on_instance=on_instance)
    return replace(instance(tags={}), surroundings=around(permissions=(denied,)).surroundings)


def on_demand(facts, mode):
    return replace(facts, instance=replace(facts.instance, mode=mode))


def no_instance():
    return replace(GOOD, instance=BLIND, surroundings=nothing_seen("nobody may look"))


M, E, A = of_machine, of_instance, of_account
CASES = [
    (M.nothing_lies_in_an_instance_store, GOOD, FINE, "no instance store"),
    (M.nothing_lies_in_an_instance_store, store("/scratch"), STOP, "nvme1n1 at /scratch"),
    (M.nothing_lies_in_an_instance_store, store("[SWAP]"), CARE, "nvme1n1"),
    (M.nothing_lies_in_an_instance_store, store(), CARE, "nvme1n1"),
    (M.nothing_lies_in_an_instance_store, machine(disks=BLIND), FINE, "its type has no instance store"),
    (
        M.nothing_lies_in_an_instance_store,
        replace(
            around(type_facts=replace(TYPE, instance_store=True)),
            machine=machine(disks=(ROOT, Disk("xvdb", DiskKind.OTHER, ("/mnt",)))).machine,
        ),
        UNKNOWN,
        "xvdb does not say",
    ),
    (M.no_database_is_copied_as_files, GOOD, FINE, "no PostgreSQL"),
    (M.no_database_is_copied_as_files, postgres(), STOP, "not consistent"),
    (M.no_database_is_copied_as_files, postgres("/srv"), STOP, "PostgreSQL (/srv)"),
    (M.no_database_is_copied_as_files, postgres(replicated=None), STOP, "not consistent"),
    (M.no_database_is_copied_as_files, postgres(replicated=True), CARE, "only while it is stopped"),
    (M.no_database_is_copied_as_files, postgres(running=False), CARE, "only while it is stopped"),
    (M.no_database_is_copied_as_files, postgres("/var/lib/pg"), CARE, "not under the state path"),
    (M.no_database_is_copied_as_files, postgres("/srv/website"), CARE, "not under the state path"),
    (M.no_database_is_copied_as_files, postgres("/var/lib/pg", running=False), CARE, "does not run"),
    (M.no_database_is_copied_as_files, machine(databases=BLIND), UNKNOWN, "nobody may look"),
    (M.its_disks_are_mounted_by_uuid, GOOD, FINE, "no disk by its device"),
    (
        M.its_disks_are_mounted_by_uuid,
        machine(fstab=(FstabEntry("/dev/nvme1n1p1", "/data"), FstabEntry("/dev/mapper/vg-a", "/a"))),
        CARE,
        "(/dev/nvme1n1p1 at /data)",
    ),
    (M.its_disks_are_mounted_by_uuid, machine(fstab=BLIND), UNKNOWN, "nobody may look"),
    (M.its_architecture_has_64_bits, machine(architecture="aarch64"), FINE, "aarch64"),
    (M.its_architecture_has_64_bits, machine(architecture="i686"), STOP, "i686"),
    (M.the_workload_starts_only_when_told, GOOD, FINE, "does not start at boot"),
    (M.the_workload_starts_only_when_told, unit(starts_by=("/etc/x",)), CARE, "starts at boot"),
    (M.the_workload_starts_only_when_told, unit(triggered_by=("web.socket",)), CARE, "web.socket"),
    (
        M.the_workload_starts_only_when_told,
        unit(stopped_with=(StoppedWith("db.service"), StoppedWith("work.service", ("/etc/x", "work.timer")))),
        CARE,
        "(work.service: by /etc/x, work.timer)",
    ),
    (
        M.the_workload_starts_only_when_told,
        unit(stopped_with=(StoppedWith("db.service"),)),
        FINE,
        "not start",
    ),
    (M.the_workload_starts_only_when_told, unit(vendor_links=("/usr/x",)), STOP, "/usr/x"),
    (M.the_workload_starts_only_when_told, unit(exists=False), STOP, "no unit web.service"),
    (M.the_workload_starts_only_when_told, machine(unit=BLIND), UNKNOWN, "nobody may look"),
    (E.nothing_else_owns_it, GOOD, FINE, "no tag"),
    (
        E.nothing_else_owns_it,
        instance(tags={"aws:autoscaling:groupName": "web"}),
        STOP,
        "Auto Scaling group (web)",
    ),
    (E.nothing_else_owns_it, instance(tags={"kubernetes.io/cluster/blue": "owned"}), STOP, "Kubernetes"),
    (E.nothing_else_owns_it, instance(tags={"eks:cluster-name": "blue"}), STOP, "EKS"),
    (E.nothing_else_owns_it, instance(tags={"aws:ecs:clusterName": "c"}), STOP, "ECS"),
    (E.nothing_else_owns_it, instance(tags={"elasticbeanstalk:environment-name": "e"}), STOP, "Beanstalk"),
    (E.nothing_else_owns_it, instance(tags={"aws:cloudformation:stack-name": "s"}), CARE, "stack s"),
    (E.nothing_else_owns_it, machine(is_node=True), STOP, "kubelet runs here"),
    (E.nothing_else_owns_it, no_instance(), UNKNOWN, "nobody may look"),
    (E.no_spot_request_brings_it_back, GOOD, FINE, "no persistent"),
    (
        E.no_spot_request_brings_it_back,
        instance(persistent_request="sir-1"),
        STOP,
        "request sir-1 has launched",
    ),
    (E.no_spot_request_brings_it_back, instance(persistent_request=BLIND), UNKNOWN, "nobody may look"),
    (E.its_image_may_run_on_spot, GOOD, FINE, "plain Linux"),
    (E.its_image_may_run_on_spot, instance(platform="Windows with SQL Server"), STOP, "Windows"),
    (E.its_image_may_run_on_spot, instance(product_codes={"abc": "devpay"}), STOP, "abc"),
    (E.its_image_may_run_on_spot, instance(product_codes={"abc": "marketplace"}), CARE, "Marketplace (abc)"),
    (E.its_image_may_run_on_spot, instance(platform="Red Hat Enterprise Linux"), CARE, "Red Hat"),
    (E.its_image_may_run_on_spot, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_image_holds_the_agent, GOOD, CARE, "ami-1 holds neither"),
    (E.its_image_holds_the_agent, instance(tags={"spotguard:managed": "x"}), FINE, "SpotGuard launched it"),
    (E.its_image_holds_the_agent, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_root_is_on_ebs, GOOD, FINE, "EBS"),
    (E.its_root_is_on_ebs, instance(root_device="instance-store"), STOP, "instance store"),
    (E.its_root_is_on_ebs, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_root_is_named_as_roots_are, GOOD, FINE, "named /dev/xvda"),
    (
        E.its_root_is_named_as_roots_are,
        instance(root_name="/dev/sda"),
        STOP,
        "named /dev/sda, not /dev/sda1 or",
    ),
    (
        E.its_root_is_named_as_roots_are,
        instance(volumes=(AS_A_ROOT,)),
        STOP,
        "vol-8 is attached as /dev/sda1",
    ),
    (E.its_root_is_named_as_roots_are, instance(volumes=BLIND), UNKNOWN, "nobody may look"),
    (E.no_volume_is_attached_where_a_look_goes, GOOD, FINE, "nothing is attached as /dev/sdy"),
    (E.no_volume_is_attached_where_a_look_goes, instance(volumes=(FOR_A_LOOK,)), CARE, "vol-9 is attached"),
    (E.no_volume_is_attached_where_a_look_goes, instance(volumes=BLIND), UNKNOWN, "nobody may look"),
    (E.no_volume_is_attached_to_several, GOOD, FINE, "none of its volumes"),
    (E.no_volume_is_attached_to_several, instance(volumes=(SHARED,)), STOP, "vol-7 may be attached"),
    (E.no_volume_is_attached_to_several, instance(volumes=BLIND), UNKNOWN, "nobody may look"),
    (E.it_does_not_hibernate, GOOD, FINE, "not configured"),
    (E.it_does_not_hibernate, instance(hibernates=True), STOP, "hibernation"),
    (E.it_does_not_hibernate, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_place_can_be_copied, GOOD, FINE, "shared tenancy"),
    (E.its_place_can_be_copied, instance(tenancy="host"), STOP, "Dedicated Host"),
    (E.its_place_can_be_copied, instance(tenancy="dedicated"), CARE, "dedicated tenancy"),
    (E.its_place_can_be_copied, instance(placement_group="fast"), CARE, "placement group fast"),
    (E.its_place_can_be_copied, instance(reservation="cr-1"), CARE, "capacity reservation cr-1"),
    (E.its_place_can_be_copied, instance(licences=("arn:l",)), CARE, "licence configuration arn:l"),
    (E.its_place_can_be_copied, instance(enclave=True), CARE, "enclave"),
    (E.its_place_can_be_copied, no_instance(), UNKNOWN, "nobody may look"),
    (E.one_plain_interface_is_enough, GOOD, FINE, "one plain"),
    (
        E.one_plain_interface_is_enough,
        instance(interfaces=(Interface("eni-1", "interface"), Interface("eni-2", "interface"))),
        STOP,
        "2 network interfaces",
    ),
    (E.one_plain_interface_is_enough, instance(interfaces=(Interface("eni-1", "efa"),)), STOP, "eni-1"),
    (
        E.one_plain_interface_is_enough,
        instance(interfaces=(Interface("eni-1", "interface", forwards=True),)),
        STOP,
        "check is off",
    ),
    (E.one_plain_interface_is_enough, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_private_address_is_not_needed, GOOD, CARE, "10.0.0.5 is not kept"),
    (
        E.its_private_address_is_not_needed,
        instance(interfaces=(Interface("eni-1", "interface", ("10.0.0.9",)),)),
        CARE,
        "10.0.0.9 can follow the workload within us-east-1a",
    ),
    (E.its_private_address_is_not_needed, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_public_address_stays, GOOD, FINE, "no public address"),
    (E.its_public_address_stays, instance(public_ip="52.1.1.1"), CARE, "will change"),
    (E.its_public_address_stays, instance(public_ip="52.1.1.1", elastic=True), CARE, "Elastic IP"),
    (E.its_public_address_stays, no_instance(), UNKNOWN, "nobody may look"),
    (E.its_credits_are_not_unlimited, instance(credits="standard"), FINE, "no unlimited"),
    (E.its_credits_are_not_unlimited, instance(credits="unlimited"), CARE, "without limit"),
    (E.its_credits_are_not_unlimited, instance(credits=BLIND), UNKNOWN, "nobody may look"),
    (E.its_metadata_service_wants_tokens, GOOD, FINE, "wants tokens"),
    (E.its_metadata_service_wants_tokens, instance(metadata_enabled=False), STOP, "is off"),
    (E.its_metadata_service_wants_tokens, instance(tokens_required=False), CARE, "IMDSv1"),
    (E.its_metadata_service_wants_tokens, machine(containers=("Docker",)), CARE, "Docker runs"),
    (
        E.its_metadata_service_wants_tokens,
        replace(instance(hop_limit=2), machine=machine(containers=("Docker",)).machine),
        FINE,
        "wants tokens",
    ),
    (E.its_metadata_service_wants_tokens, no_instance(), UNKNOWN, "nobody may look"),
    (E.it_is_not_protected_from_termination, GOOD, FINE, "no termination protection"),
    (E.it_is_not_protected_from_termination, instance(protected=True), CARE, "protected"),
    (E.it_is_not_protected_from_termination, instance(protected=BLIND), UNKNOWN, "nobody may look"),
    (E.it_has_the_enhanced_network_driver, GOOD, FINE, "ENA"),
    (E.it_has_the_enhanced_network_driver, instance(ena=False), CARE, "does not declare"),
    (E.it_has_the_enhanced_network_driver, no_instance(), UNKNOWN, "nobody may look"),
    (A.its_type_is_sold_as_spot, GOOD, FINE, "m5.large is sold"),
    (A.its_type_is_sold_as_spot, around(type_facts=replace(TYPE, spot=False)), STOP, "not sold"),
    (A.its_type_is_sold_as_spot, around(type_facts=BLIND), UNKNOWN, "nobody may look"),
    (A.spot_may_open_its_encrypted_volumes, GOOD, FINE, "no volume is encrypted"),
    (A.spot_may_open_its_encrypted_volumes, key(granted=False, of_aws=True), FINE, "AWS's own"),
    (A.spot_may_open_its_encrypted_volumes, key(granted=True), FINE, "granted"),
    (A.spot_may_open_its_encrypted_volumes, key(granted=False), CARE, "no grant for key-1"),
    (A.spot_may_open_its_encrypted_volumes, key(granted=BLIND), UNKNOWN, "nobody may look"),
    (A.spot_may_open_its_encrypted_volumes, instance(volumes=BLIND), UNKNOWN, "nobody may look"),
    (A.spot_quota_holds_the_new_and_a_standby, around(spot_quota=Quota("q", 6, 2)), FINE, "2 of 6"),
    (A.spot_quota_holds_the_new_and_a_standby, around(spot_quota=Quota("q", 5, 2)), CARE, "a standby"),
    (A.spot_quota_holds_the_new_and_a_standby, around(spot_quota=Quota("q", 3, 2)), STOP, "no spot instance"),
    (A.spot_quota_holds_the_new_and_a_standby, around(spot_quota=BLIND), UNKNOWN, "nobody may look"),
    (A.ondemand_quota_holds_a_way_back, around(ondemand_quota=Quota("q", 2, 2)), FINE, "uses now"),
    (
        A.ondemand_quota_holds_a_way_back,
        on_demand(around(ondemand_quota=Quota("q", 2, 1)), Mode.SPOT),
        CARE,
        "nowhere to go",
    ),
    (A.ondemand_quota_holds_a_way_back, around(ondemand_quota=BLIND), UNKNOWN, "nobody may look"),
    (A.every_call_of_a_move_is_permitted, GOOD, FINE, "ec2:RunInstances"),
    (
        A.every_call_of_a_move_is_permitted,
        around(permissions=(Permission("ec2:CreateImage", allowed=False),)),
        STOP,
        "refuse ec2:CreateImage",
    ),
    (
        A.every_call_of_a_move_is_permitted,
        replace(
            around(permissions=(Permission("ec2:CreateImage", allowed=False),)), executor=Executor.SERVER
        ),
        FINE,
        "the server calls EC2",
    ),
    (
        A.every_call_of_a_move_is_permitted,
        around(permissions=(Permission("ec2:CreateImage", None, "InvalidAMIID"),)),
        UNKNOWN,
        "ec2:CreateImage: InvalidAMIID",
    ),
    (A.every_call_of_a_move_is_permitted, around(permissions=BLIND), UNKNOWN, "nobody may look"),
    (A.every_call_of_a_move_is_permitted, before_the_tag(on_instance=True), CARE, "not handed over"),
    (A.every_call_of_a_move_is_permitted, before_the_tag(on_instance=False), STOP, "refuse ec2:CreateImage"),
    (A.its_owner_has_handed_it_over, GOOD, FINE, "if that is its agent's id"),
    (A.its_owner_has_handed_it_over, instance(tags={"spotguard:managed": "x"}), FINE, "launched it"),
    (A.its_owner_has_handed_it_over, instance(tags={}), CARE, "leaves it running"),
    (A.its_owner_has_handed_it_over, no_instance(), UNKNOWN, "nobody may look"),
    (A.a_standby_can_live_in_another_zone, GOOD, FINE, "us-east-1b"),
    (A.a_standby_can_live_in_another_zone, around(zones=("us-east-1a",)), CARE, "no subnet"),
    (A.a_standby_can_live_in_another_zone, around(zones=BLIND), UNKNOWN, "nobody may look"),
]


@pytest.mark.parametrize(("judge", "facts", "grade", "words"), CASES)
def test_the_rule_says(judge, facts, grade, words):
    (rule,) = [one for one in RULES if one.judge is judge]
    (finding,) = examine([rule], facts)
    assert finding.grade is grade, finding.because
    assert words in finding.because
    assert bool(finding.mend) is (grade is not FINE)


NEVER = {
    (E.its_private_address_is_not_needed, FINE): "whether anybody uses the address nobody can see",
    (M.its_architecture_has_64_bits, UNKNOWN): "the kernel always tells",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_tried_fine_and_not_fine_and_unseen(rule):
    tried = {grade for judge, _, grade, _ in CASES if judge is rule.judge}
    tried |= {grade for (judge, grade) in NEVER if judge is rule.judge}
    assert tried >= {FINE, UNKNOWN}
    assert tried & {CARE, STOP}
    assert rule.source


def test_a_sound_machine_has_two_amber_findings_its_image_and_its_private_address():
    found = report(GOOD)
    assert [one.name for one in found.findings if one.grade is not FINE] == [
        "its-image-holds-the-agent",
        "its-private-address-is-not-needed",
    ]
    assert (found.grade, found.red) == (CARE, ())


def test_what_nobody_saw_is_never_green():
    found = report(replace(no_instance(), machine=machine(disks=BLIND, databases=BLIND, fstab=BLIND).machine))
    green = {one.name for one in found.findings if one.grade is FINE}
    assert green == {"its-architecture-has-64-bits", "the-workload-starts-only-when-told"}
    assert found.grade is UNKNOWN


def test_each_red_finding_has_to_be_accepted_by_its_name():
    found = report(instance(hibernates=True, root_device="instance-store"))
    assert in_the_way(found, ()) == ("its-root-is-on-ebs", "it-does-not-hibernate")
    assert in_the_way(found, ["it-does-not-hibernate"]) == ("its-root-is-on-ebs",)
    assert in_the_way(found, found.red) == ()
    with pytest.raises(InvalidInput, match="no rule is named it-does-hibernate"):
        in_the_way(found, ["it-does-hibernate"])


def test_everything_that_may_point_has_its_advice():
    assert set(ADVICE) == set(PointerKind)
