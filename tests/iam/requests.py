"""Which authorizations EC2 asks for when it gets a call: one for each resource, with what is known of it as context.

After the service authorization reference (resource types and condition keys of each action) and the EC2 User Guide
("Grant permission to tag Amazon EC2 resources during creation"): the tags of a call count for the resource type that
they are for, and are authorized as ec2:CreateTags besides; an instance profile is authorized as iam:PassRole.
"""

from moto.iam.models import iam_backends

from tests.iam.evaluator import Request

_OWNERLESS = ("image", "snapshot")
_ON_TARGET_GROUPS = ("RegisterTargets", "DeregisterTargets")
_PREFIXES = {"monitoring": "cloudwatch"}  # where a service signs by another name than IAM's
_NAMED = {  # the calls that name nothing but existing resources: parameter -> kind
    "TerminateInstances": {"InstanceId": "instance"},
    "ModifyInstanceAttribute": {"InstanceId": "instance"},
    "DescribeInstanceAttribute": {"InstanceId": "instance"},
    "AttachVolume": {"InstanceId": "instance", "VolumeId": "volume"},
    "DetachVolume": {"InstanceId": "instance", "VolumeId": "volume"},
    "DeleteVolume": {"VolumeId": "volume"},
    "DeleteSnapshot": {"SnapshotId": "snapshot"},
    "DeregisterImage": {"ImageId": "image"},
    "CreateImage": {"InstanceId": "instance"},
    "CreateSnapshot": {"VolumeId": "volume"},
    "CreateVolume": {"SnapshotId": "snapshot"},
    "AssociateAddress": {"AllocationId": "elastic-ip", "InstanceId": "instance"},
    "AssignPrivateIpAddresses": {"NetworkInterfaceId": "network-interface"},
}
_MAKES = {
    "CreateImage": ("image", "snapshot"),
    "CreateSnapshot": ("snapshot",),
    "CreateVolume": ("volume",),
    "CreateLaunchTemplate": ("launch-template",),
    "CreateFleet": ("fleet", "instance"),
}


class Reading:
    """Reads the calls of one account, in the order in which they come."""

    def __init__(self, wire):
        self._account, self._ec2 = wire.account, wire.account.ec2
        self._templates = {}  # launch templates by name, as they were asked for

    def of(self, call):
        """Every authorization of the call."""
        if call.service != "ec2":
            service = _PREFIXES.get(call.service, call.service)
            where = call.parameters["TargetGroupArn"] if call.action in _ON_TARGET_GROUPS else "*"
            return [Request(f"{service}:{call.action}", where, {"aws:RequestedRegion": "us-east-1"})]
        told = nested(call.parameters)
        if call.action == "CreateLaunchTemplate":
            self._templates[told["LaunchTemplateName"]] = told["LaunchTemplateData"]
        return [
            *self._named(call.action, told),
            *self._made(call.action, told),
            *(self._launched(call.action, told) if call.action == "RunInstances" else ()),
            *(self._by_fleet(told) if call.action == "CreateFleet" else ()),
        ] or [self._request(call.action)]

    def _named(self, action, told):
        kinds = _NAMED.get(action, {})
        named = [(kind, name) for key, kind in kinds.items() for name in values(told, key)]
        if action == "DetachVolume" and "InstanceId" not in told:
            named += [("instance", name) for name in self._holders(told["VolumeId"])]
        if action == "ModifyInstanceAttribute":
            disks = [disk["Ebs"] for disk in values(told, "BlockDeviceMapping")]
            named += [("volume", disk["VolumeId"]) for disk in disks if "VolumeId" in disk]
        if action == "DeleteLaunchTemplate":
            named.append(("launch-template", self._template_id(told)))
        return [self._existing(action, kind, name) for kind, name in named]

    def _holders(self, volume_id):
        machine = self._ec2.world.volumes[volume_id].machine
        return [machine.instance_id] if machine else []

    def _made(self, action, told, tags=None):
        tags = tags_by_kind(told) if tags is None else tags
        made = [self._new(action, kind, tags) for kind in _MAKES.get(action, ())]
        return [*made, *self._tagged(action, tags)]

    def _tagged(self, action, tags):
        return [self._new("CreateTags", kind, tags, **{"ec2:CreateAction": action}) for kind in tags]

    def _launched(self, action, told):
        tags = tags_by_kind(told)
        asks = values(told, "NetworkInterface")
        disks = [disk.get("Ebs", {}) for disk in values(told, "BlockDeviceMapping")]
        options = told.get("MetadataOptions", {})
        machine = {"ec2:InstanceType": told["InstanceType"]}
        if "HttpTokens" in options:
            machine["ec2:MetadataHttpTokens"] = options["HttpTokens"]
        public = [i["AssociatePublicIpAddress"] for i in asks if "AssociatePublicIpAddress" in i]
        interface = {"ec2:AssociatePublicIpAddress": public[0]} if public else {}
        spot = told.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        new = [
            self._new(action, "instance", tags, **machine),
            self._new(action, "network-interface", tags, **interface),
            self._new(action, "volume", tags),
            *([self._new(action, "spot-instances-request", tags)] if spot else ()),
        ]
        used = [
            ("image", told["ImageId"]),
            ("subnet", self._subnet(told)),
            *(("security-group", name) for name in self._groups(told)),
            *(("key-pair", name) for name in values(told, "KeyName")),
            *(("snapshot", disk["SnapshotId"]) for disk in disks if "SnapshotId" in disk),
        ]
        existing = [self._existing(action, kind, name) for kind, name in used]
        return [*new, *existing, *self._tagged(action, tags), *self._passed(told)]

    def _by_fleet(self, told):
        """The template, and the launch that the fleet makes of it on the caller's behalf: for every override."""
        config = values(told, "LaunchTemplateConfigs")[0]
        name = config["LaunchTemplateSpecification"]["LaunchTemplateName"]
        template = self._templates[name]
        found = [
            self._existing("CreateFleet", "launch-template", self._template_id({"LaunchTemplateName": name}))
        ]
        spot = told["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "spot"
        for override in values(config, "Overrides"):
            both = {**template, **override, "TagSpecification": _joined(template, told)}
            if "AvailabilityZone" in override:
                both["Placement"] = {"AvailabilityZone": override["AvailabilityZone"]}
            if spot:
                both["InstanceMarketOptions"] = {"MarketType": "spot"}
            found += [
                self._existing(
                    "RunInstances", "launch-template", self._template_id({"LaunchTemplateName": name})
                )
            ]
            found += self._launched("RunInstances", both)
        return found

    def _passed(self, told):
        profile = told.get("IamInstanceProfile", {}).get("Arn")
        if profile is None:
            return []
        known = iam_backends[self._account.number]["aws"].get_instance_profiles()
        roles = [role.arn for p in known if p.arn == profile for role in p.roles]
        return [Request("iam:PassRole", arn, {"iam:PassedToService": "ec2.amazonaws.com"}) for arn in roles]

    def _subnet(self, told):
        asked = [told, *values(told, "NetworkInterface")]
        named = next((one["SubnetId"] for one in asked if "SubnetId" in one), None)
        return named or self._account.subnets[told["Placement"]["AvailabilityZone"]].id

    def _groups(self, told):
        """Named, or the default one of the VPC."""
        asked = [
            values(told, "SecurityGroupId"),
            *(values(i, "SecurityGroupId") for i in values(told, "NetworkInterface")),
        ]
        named = [name for names in asked for name in names]
        vpc = self._account.moto.default_vpc.id
        return named or [self._account.moto.get_security_group_from_name("default", vpc_id=vpc).id]

    def _key_id(self, name):
        """A key pair's ARN has its name, its tags hang on its id."""
        return self._account.moto.describe_key_pairs([name])[0].id

    def _template_id(self, told):
        named = told.get("LaunchTemplateName")
        return told.get("LaunchTemplateId") or self._account.moto.launch_template_name_to_ids.get(
            named, "lt-none"
        )

    def _new(self, action, kind, tags, **more):
        given = tags.get(kind, {})
        context = {f"aws:RequestTag/{key}": value for key, value in given.items()}
        if given:
            context["aws:TagKeys"] = sorted(given)
        return self._request(action, self.arn(kind, "*"), {**context, **more})

    def _existing(self, action, kind, name):
        tags = self.tags(self._key_id(name) if kind == "key-pair" else name)
        return self._request(
            action, self.arn(kind, name), {f"aws:ResourceTag/{k}": v for k, v in tags.items()}
        )

    def _request(self, action, resource="*", context=()):
        region = self._ec2.region
        known = {"aws:RequestedRegion": region, "ec2:Region": region}
        return Request(f"ec2:{action}", resource, {**known, **dict(context)})

    def arn(self, kind, name):
        account = "" if kind in _OWNERLESS else self._account.number
        return f"arn:aws:ec2:{self._ec2.region}:{account}:{kind}/{name}"

    def tags(self, name):
        """As the simulator has them, or moto."""
        world = self._ec2.world
        for table in (world.machines, world.volumes, world.snapshots, world.images):
            if name in table:
                return table[name].tags
        return {tag["key"]: tag["value"] for tag in self._account.moto.describe_tags({"resource-id": [name]})}


def nested(flat):
    """`A.1.B=c` of the query protocol as {"A": {"1": {"B": "c"}}}."""
    tree = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def values(tree, name):
    """A list of the query protocol in its order; a single value is a list of one."""
    found = tree.get(name, {})
    if isinstance(found, str):
        return [found]
    return [found[number] for number in sorted(found, key=int)]


def tags_by_kind(told):
    """Tags of a call by the resource type that they are for."""
    return {
        one["ResourceType"]: {tag["Key"]: tag.get("Value", "") for tag in values(one, "Tag")}
        for one in values(told, "TagSpecification")
    }


def _joined(template, told):
    both = [*values(template, "TagSpecification"), *values(told, "TagSpecification")]
    own = [one for one in both if one["ResourceType"] != "fleet"]
    return {str(number): one for number, one in enumerate(own, 1)}
