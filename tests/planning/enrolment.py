"""A machine without any fault, and changes to it."""

from dataclasses import replace

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.instances import Mode
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.eligibility.facts import (
    Disk,
    DiskKind,
    Facts,
    FstabEntry,
    Instance,
    Interface,
    Machine,
    Permission,
    Quota,
    Surroundings,
    Unit,
    Volume,
)

TYPE = TypeFacts(
    "m5.large",
    frozenset({"x86_64"}),
    frozenset({"hvm"}),
    frozenset({"uefi"}),
    ena="required",
    nvme="required",
    memory_mib=8192,
    vcpus=2,
    network_interfaces=3,
    network_cards=1,
    instance_store=False,
    spot=True,
)
MACHINE = Machine(
    architecture="x86_64",
    disks=(Disk("nvme0n1", DiskKind.EBS, ("/",)),),
    fstab=(FstabEntry("UUID=1234", "/"),),
    databases=(),
    unit=Unit("web.service", exists=True),
)
INSTANCE = Instance(
    instance_id=InstanceId("i-0123456789abcdef0"),
    instance_type="m5.large",
    az="us-east-1a",
    mode=Mode.ONDEMAND,
    image_id="ami-1",
    architecture="x86_64",
    platform="Linux/UNIX",
    product_codes={},
    root_device="ebs",
    private_ip="10.0.0.5",
    public_ip=None,
    elastic=False,
    vpc_id="vpc-1",
    subnet_id="subnet-1",
    group_ids=("sg-1",),
    interfaces=(Interface("eni-1", "interface"),),
    hibernates=False,
    tenancy="default",
    placement_group="",
    reservation="",
    enclave=False,
    licences=(),
    ena=True,
    credits=None,
    metadata_enabled=True,
    tokens_required=True,
    hop_limit=1,
    tags={"Name": "web", "spotguard:adopted": "agent-1"},
    protected=False,
    volumes=(Volume(VolumeId("vol-1"), "/dev/xvda", encrypted=False),),
    root_name="/dev/xvda",
)
AROUND = Surroundings(
    type_facts=TYPE,
    keys=(),
    spot_quota=Quota("spot", 32, 0),
    ondemand_quota=Quota("on demand", 32, 2),
    permissions=(Permission("ec2:RunInstances", allowed=True),),
    zones=("us-east-1a", "us-east-1b"),
)
GOOD = Facts(MACHINE, INSTANCE, AROUND, "/srv/web", Executor.AGENT)


def machine(**changes):
    return replace(GOOD, machine=replace(MACHINE, **changes))


def instance(**changes):
    return replace(GOOD, instance=replace(INSTANCE, **changes))


def around(**changes):
    return replace(GOOD, surroundings=replace(AROUND, **changes))
