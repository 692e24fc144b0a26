"""What was made with our tags and is of no use any more."""

from dataclasses import replace

from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import Mode
from spotguard.ports.cloud import LaunchRequest
from spotguard.ports.intentions import TOKEN_TAG, Intention, IntentionKind, IntentionStatus, Outcome
from spotguard.store import intentions, launch_orders, storage
from spotguard.store.tables import instances
from tests.coordinator.scene import A, B


def tags(scene, agent, purpose="standby"):
    return scene.db.read(lambda tx: launch_orders.tags_of(tx, scene.client_id, agent, purpose))


def stray_volume(scene, agent, token="stray"):
    """Made by us, and left by a machine that has ended."""
    made = scene.ec2.create_volume(ClientToken(token), A.az, 50, tags(scene, agent))
    (view,) = scene.ec2.describe_volumes([made])
    rates = scene.ec2.storage_rates()
    ended = InstanceId(made.replace("vol-", "i-"))  # each has had its own
    attached = replace(view, attached_to=ended, device="/dev/sdf")
    machine = _ended(scene, agent, ended)
    scene.db.write(lambda tx: tx.execute(instances.insert(), machine))
    scene.db.write(lambda tx: storage.saw_volume(tx, scene.client_id, attached, rates))
    return made


def _ended(scene, agent, instance_id):
    """The row of a machine that we launched."""
    launch = Intention(ClientToken(instance_id), IntentionKind.LAUNCH, instance_id, "standby", 1, scene.now)
    _launch(scene, agent, launch, instance_id)
    return {
        "id": instance_id,
        "client_id": scene.client_id,
        "agent_id": agent,
        "is_active": False,
        "ec2_state": "terminated",
        "ended_at": scene.now,
        "terminated_at": scene.now,
        "intention_token": launch.token,
        "created_at": scene.now,
        "updated_at": scene.now,
    }


def stray_machine(scene, agent):
    """Launched as any other, and whatever it was for is over."""
    made = machine_of_an_unknown_launch(scene, agent)
    launch = Intention(ClientToken("stray"), IntentionKind.LAUNCH, "stray", "standby", 1, scene.now)
    _launch(scene, agent, launch, made)
    return made


def _launch(scene, agent, launch, made):
    wisher = intentions.Wisher(scene.client_id, agent, None, None, voluntary=False)

    def work(tx):
        intentions.open_intention(tx, scene.now, wisher, launch)
        intentions.close_intention(tx, scene.now, launch.token, Outcome(IntentionStatus.DONE, made))

    scene.db.write(work)


def machine_of_an_unknown_launch(scene, agent):
    request = LaunchRequest(
        token=ClientToken("stray"),
        pool=B,
        mode=Mode.SPOT,
        image_id=scene.image,
        tags={**tags(scene, agent), TOKEN_TAG: "stray"},
    )
    instance_id = scene.ec2.run_instance(request).instance_id
    scene.mute.add(instance_id)
    return instance_id
