"""What an agent does in EC2 for others, where the server has no access: launch a standby, end an instance, clear up.

Only instances that the command names and that carry this agent's tag are ended; this one never.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import OK, Desk, NotEnrolled
from spotguard.agent.files import Document
from spotguard.agent.launches import DiskIntentions
from spotguard.agent.orders import Command, EndOrder, end_order, launch_replica_order
from spotguard.agent.switch_reports import timing
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import CloudError, Doubtful, NotVisible, Refused, ServerAway, Throttled
from spotguard.domain.ids import CommandId, InstanceId, VolumeId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.switches import Step
from spotguard.domain.tags import AGENT_TAG
from spotguard.execution.ending import SOON_SECONDS, Done, Later, delete_volumes, end_instance, leftovers_of
from spotguard.execution.launching import Launched, LaunchWish, NotYet, launch, refused
from spotguard.execution.move_state import candidates_of
from spotguard.execution.shaping import made_otherwise, shape_of
from spotguard.execution.volumes import empty_alike
from spotguard.ports.cloud import Cloud, InstanceView

LONGEST_TURN = timedelta(seconds=90)
"""As long as EC2 may keep one call waiting (`host.child_cloud.ChildLimits`); the same thread closes the gate."""

VANISHED_AGE, VANISHED_LOOKS, VANISHED_SPAN = timedelta(hours=1), 3, timedelta(minutes=5)
NO_EC2 = "this agent has no access to EC2: let the server do it, or set calls_ec2 for this agent"


class Errands:
    """Carries launch_replica, terminate_instance and retire_replica out, one step of one of them in each turn."""

    TYPES = (CommandType.LAUNCH_REPLICA, CommandType.TERMINATE_INSTANCE, CommandType.RETIRE_REPLICA)

    def __init__(
        self,
        desk: Desk,
        book: CommandBook,
        withdraw: Callable[[InstanceId], None],
        can_wait: Callable[[timedelta], bool],
    ) -> None:
        """`can_wait`: whether a hand-over needs this thread within a time."""
        self._desk, self._book, self._withdraw, self._can_wait = desk, book, withdraw, can_wait
        self._due: dict[CommandId, datetime] = {}
        self._intentions = DiskIntentions(desk.ports.disk)
        self._leftovers = Document(desk.ports.disk, "leftovers")
        self._absent: dict[InstanceId, tuple[datetime, int]] = {}  # since when, in how many looks

    def check(self, command: Command) -> None:
        if self._desk.ports.cloud is None:
            raise Refused(NO_EC2)
        self._require_epoch(command)
        if command.type is CommandType.LAUNCH_REPLICA:
            launch_replica_order(command)
        elif end_order(command).instance_id == self._desk.instance_id:
            raise Refused("an agent never ends its own instance")

    def _require_epoch(self, command: Command) -> None:
        held = self._desk.primacy.held
        if command.epoch is not None and (held is None or command.epoch < held):
            raise Refused(f"it is for epoch {command.epoch}; this instance holds {held or 'none'}")

    def run(self, now: datetime) -> datetime | None:
        cloud = self._desk.ports.cloud
        wanted = [command for command in self._book.open() if command.command_type in self.TYPES]
        self._due = {command.id: self._due.get(command.id, now) for command in wanted}
        if cloud is None or not wanted:
            return None
        look_again = self._desk.settings.limits.look_again
        if not self._can_wait(LONGEST_TURN):
            return now + timedelta(seconds=look_again)
        command = min(wanted, key=lambda one: self._due[one.id])
        if self._due[command.id] <= now:
            wait = self._carry_on(cloud, command, now)
            if wait is None:
                del self._due[command.id]
            else:
                self._due[command.id] = now + timedelta(seconds=min(wait, look_again))
        return min(self._due.values(), default=None)

    def _carry_on(self, cloud: Cloud, command: Command, now: datetime) -> float | None:
        """Seconds until it wants another turn; None when it is answered."""
        try:
            if command.is_over(self._desk.server_now(now)):
                raise Refused("it expired before it could be carried out")
            if command.type is CommandType.LAUNCH_REPLICA:
                return self._launch(cloud, command, now)
            return self._end(cloud, command, now)
        except Refused as error:
            self._book.answer(command, CommandStatus.REFUSED, str(error))
        except (Throttled, Doubtful, NotVisible, ServerAway, NotEnrolled):
            return SOON_SECONDS  # nothing is known yet: asked again until the command is over
        except CloudError as error:
            self._book.answer(command, CommandStatus.FAILED, str(error))
        return None

    def _launch(self, cloud: Cloud, command: Command, now: datetime) -> float | None:
        order = launch_replica_order(command).launch
        wish = LaunchWish(
            seed=order.token_seed,
            purpose="standby",
            candidates=candidates_of(order.places),
            image_id=order.image_id,
            tags=order.tags,
            user_data=lambda: order.user_data,
            block_devices=order.block_devices or empty_alike(cloud, self._desk.instance_id),
            shape=lambda: shape_of(cloud, self._desk.instance_id, urgent=False),
            at_once=order.at_once,
        )
        result = launch(cloud, self._intentions, wish, now)
        if isinstance(result, NotYet):
            return max(1.0, result.again_seconds)
        attempts = self._intentions.of(order.token_seed)
        told: dict[str, Any] = {
            "refused": [pool.id for pool in refused(attempts, Mode.SPOT)],
            "refused_ondemand": [pool.id for pool in refused(attempts, Mode.ONDEMAND)],
        }
        if isinstance(result, Launched):
            told["remarks"] = list(made_otherwise(cloud, attempts, result.instance.instance_id))
            self._book.answer(command, CommandStatus.COMPLETED, "launched", told | _named(result.instance))
        else:
            self._book.answer(command, CommandStatus.FAILED, result.because, told)
        return None

    def _end(self, cloud: Cloud, command: Command, now: datetime) -> float | None:
        order, agent_id = end_order(command), self._desk.enrolled().agent_id
        clears = order.clear or command.type is CommandType.RETIRE_REPLICA
        if clears:
            self._remember_leftovers(cloud, order.instance_id, agent_id)
        if command.type is CommandType.TERMINATE_INSTANCE:
            self._require_epoch(command)  # the old one may serve again: its workload has gone back to it
            self._require_present_word()
        ending = end_instance(cloud, order.instance_id, agent_id)
        if isinstance(ending, Later):
            if not self._has_vanished(cloud, order, agent_id, now):
                return ending.again_seconds
            ending = Done(f"EC2 shows {order.instance_id} no more")
        self._withdraw(order.instance_id)
        if clears:
            cleared = delete_volumes(cloud, self._left_by(order.instance_id), {AGENT_TAG: agent_id})
            if isinstance(cleared, Later):
                return cleared.again_seconds
            self._leftovers.write({k: v for k, v in self._all_leftovers().items() if k != order.instance_id})
        if command.type is CommandType.TERMINATE_INSTANCE and order.switch_id is not None:
            body = {"switch_id": order.switch_id, "timing": timing({Step.OLD_ENDED: now})}
            self._desk.report(f"switch:{order.switch_id}:old_ended", "switch", "switch-report", body)
        self._book.answer(
            command, CommandStatus.COMPLETED, ending.because, {"instance_id": order.instance_id}
        )
        return None

    def _has_vanished(self, cloud: Cloud, order: EndOrder, agent_id: str, now: datetime) -> bool:
        """Ruling B4: known for over an hour, absent by id and by tag in three looks over five minutes, in an account
        and region that show this instance itself.
        """
        if order.made_at is None or self._desk.server_now(now) - order.made_at < VANISHED_AGE:
            return False
        by_id = {
            view.instance_id for view in cloud.describe_instances([self._desk.instance_id, order.instance_id])
        }
        by_tag = {view.instance_id for view in cloud.describe_instances(tags={AGENT_TAG: agent_id})}
        if order.instance_id in by_id | by_tag or self._desk.instance_id not in by_id:
            self._absent.pop(order.instance_id, None)
            return False
        since, looks = self._absent.get(order.instance_id, (now, 0))
        self._absent[order.instance_id] = since, looks + 1
        return looks + 1 >= VANISHED_LOOKS and now - since >= VANISHED_SPAN

    def _require_present_word(self) -> None:
        """What its user says now of ending the old one: the command may be minutes old."""
        told = self._desk.call("GET", "config")
        if told.status not in OK:
            raise NotEnrolled(f"the server does not tell what its user says: {told.status}")
        if told.body.get("enabled") is False or told.body.get("auto_terminate_enabled") is False:
            raise Refused("its user has said meanwhile that nothing is ended")
        if told.body.get("ends_held"):
            raise Refused(str(told.body["ends_held"]))

    def _remember_leftovers(self, cloud: Cloud, instance_id: InstanceId, agent_id: str) -> None:
        """Before it ends, as EC2 shows them then: afterwards nothing names its volumes any more.

        A later command knows what one that expired had seen.
        """
        shown = cloud.describe_instances([instance_id])
        if shown and shown[0].state not in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED):
            volumes = list(leftovers_of(shown[0], agent_id))
            self._leftovers.write({**self._all_leftovers(), instance_id: volumes})

    def _left_by(self, instance_id: InstanceId) -> list[VolumeId]:
        return [VolumeId(volume) for volume in self._all_leftovers().get(instance_id, [])]

    def _all_leftovers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self._leftovers.read_or({})
        return found


def _named(view: InstanceView) -> dict[str, Any]:
    """What EC2 has made, and where: the order may have named several places."""
    return {
        "instance_id": view.instance_id,
        "launched_at": rfc3339(view.launched_at),
        "pool_id": view.pool.id,
        "mode": view.mode.value,
    }
