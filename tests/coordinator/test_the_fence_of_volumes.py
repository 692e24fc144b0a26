"""A volume that is attached to the next one fences its holder: not while another of its volumes has stayed."""

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import InstanceId
from spotguard.planning.switching import STATE_DEVICE
from spotguard.store import grants
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, Scene
from tests.coordinator.strays import stray_machine

_s = storage_resources.c


@pytest.mark.parametrize(
    ("another", "is_fenced"),
    [(None, True), ("/dev/sda1", True), ("/dev/sdg", False), ("unknown", False)],
    ids=["it had no other", "its root stayed", "a second one stayed", "one at a device that nobody knows"],
)
def test_nobody_follows_by_the_volume_while_its_holder_has_another(another, is_fenced):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(60)
    old, new = scene.serving(agent), stray_machine(scene, agent)
    scene.run(60)
    state = scene.row(storage_resources, _s.device == STATE_DEVICE)
    device = None if another == "unknown" else another

    def work(tx):
        moved = {"attached_to": new, "last_attached_to": new, "moved_from": old}
        tx.execute(sa.update(storage_resources).where(_s.id == state.id).values(**moved))
        if another is not None:
            other = dict(state._mapping) | {"id": "vol-0123456789abcdef0", "device": device}
            tx.execute(sa.insert(storage_resources), other)
        return grants.grant(
            tx,
            scene.now,
            agent_id=agent,
            seen_epoch=1,
            to_instance=InstanceId(new),
            proof=Proof.VOLUME_MOVED,
            switch_id=None,
            because="its volume is with the new one",
        )

    assert scene.db.write(work) is is_fenced
