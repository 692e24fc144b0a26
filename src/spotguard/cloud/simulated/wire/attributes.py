"""Attributes of instances: what goes with them when they end, their user data, their CPU credits."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.responses import ActionResult

from spotguard.cloud.simulated.wire.instances import InstanceAnswers
from spotguard.cloud.simulated.wire.xml import Told

_BURSTABLE = ("t2.", "t3.", "t3a.", "t4g.")


class AttributeAnswers(InstanceAnswers):
    """ModifyInstanceAttribute and its like; what the simulator does not know of is the mirror's, hence moto's."""

    def modify_instance_attribute(self) -> ActionResult:
        machine = self.machine(self.text("InstanceId"))
        fates = {
            mapping["DeviceName"]: bool(mapping["Ebs"]["DeleteOnTermination"])
            for mapping in self.items("BlockDeviceMappings")
            if "DeleteOnTermination" in mapping.get("Ebs", {})
        }
        if not fates:
            answer: ActionResult = super().modify_instance_attribute()
            return answer
        self.error_on_dryrun()
        going = {device for device, volume in machine.volumes.items() if volume.delete_on_termination}
        if not any(fates.values()) and going <= set(fates) <= set(machine.volumes):
            self.ec2.keep_volumes(machine.instance_id)  # the port's own call, with its faults
        else:
            for device, delete in fates.items():
                self.ec2.set_delete_on_termination(machine.instance_id, device, delete=delete)
        return Told({})

    def describe_instance_attribute(self) -> ActionResult:
        machine = self.machine(self.text("InstanceId"))
        self.error_on_dryrun()
        attribute = self.text("Attribute")
        told: dict[str, Any] = {"InstanceId": machine.instance_id}
        if attribute == "userData":
            encoded = base64.b64encode(machine.user_data.encode()).decode()
            return Told({**told, "UserData": {"Value": encoded} if encoded else {}})
        if attribute == "blockDeviceMapping":
            (view,) = self.ec2.describe_instances([machine.instance_id])
            shown = self.shown(view, self.mirror(machine.instance_id))
            return Told({**told, "BlockDeviceMappings": shown["BlockDeviceMappings"]})
        answer: ActionResult = super().describe_instance_attribute()
        return answer

    def describe_instance_credit_specifications(self) -> Told:
        """As launched; else EC2's own: standard for T2, unlimited for the later ones (E24)."""
        self.error_on_dryrun()
        specifications = []
        for view in self.seen(self.items("InstanceIds")):
            if view.pool.instance_type.startswith(_BURSTABLE):
                usual = "standard" if view.pool.instance_type.startswith("t2.") else "unlimited"
                wanted = self.mirror(view.instance_id).wanted.get("CreditSpecification", {})
                credits_told = {"InstanceId": view.instance_id, "CpuCredits": wanted.get("CpuCredits", usual)}
                specifications.append(credits_told)
        return Told({"InstanceCreditSpecifications": specifications})
