"""Volumes, snapshots, images: where the data are, and who may hold them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spotguard.cloud.simulated.physics import fixed
from spotguard.domain.errors import NeedsPerson, NotFound, NotVisible, Throttled, TokenMismatch
from spotguard.domain.instances import InstanceState, Mode
from spotguard.ports.cloud import BlockDevice, CopyState, VolumeState
from tests.cloud.scene import EXACT, QUIET, START, TAGS, A, B, Notes, Scene

DATA = "/dev/sdf"
ROOT = "/dev/xvda"


def with_data(scene: Scene, pool=A, *, dies_with_instance: bool = False):
    """A running instance with a data volume that came with it; both ids."""
    device = BlockDevice(DATA, 10, delete_on_termination=dies_with_instance)
    instance = scene.running(pool, devices=[device])
    return instance, next(v.volume_id for v in scene.see(instance).volumes if v.device == DATA)


def free_volume(scene: Scene, az: str = A.az, **more):
    volume = scene.ec2.create_volume("v-token", az, 10, TAGS, **more)
    scene.wait(2)
    return volume


def state_of(scene: Scene, volume):
    (view,) = scene.ec2.describe_volumes([volume])
    return view.state


class TestWithInstances:
    def test_an_instance_comes_with_its_root_and_its_data(self):
        scene = Scene()
        instance, data = with_data(scene)
        volumes = {v.device: v for v in scene.see(instance).volumes}
        assert set(volumes) == {ROOT, DATA}
        assert scene.ec2.controls.content_at(instance, ROOT).lines == ["debian"]
        assert scene.ec2.controls.content_of(data).lines == []
        (view,) = scene.ec2.describe_volumes([data])
        assert (view.tags, view.attached_to, view.device, view.az) == (TAGS, instance, DATA, A.az)

    def test_delete_on_termination_is_true_for_the_root_only(self):
        """E15: root default true, others as asked."""
        scene = Scene()
        instance, data = with_data(scene)
        assert {v.device: v.delete_on_termination for v in scene.see(instance).volumes} == {
            ROOT: True,
            DATA: False,
        }
        scene.ec2.terminate_instance(instance)
        scene.wait(29)
        assert state_of(scene, data) is VolumeState.IN_USE
        scene.wait(1)
        assert [v.volume_id for v in scene.ec2.describe_volumes()] == [data]
        assert state_of(scene, data) is VolumeState.AVAILABLE

    def test_the_root_may_be_kept_at_launch(self):
        scene = Scene()
        instance = scene.running(devices=[BlockDevice(ROOT, 1, delete_on_termination=False)])
        (root,) = scene.see(instance).volumes
        assert (root.device, root.delete_on_termination) == (ROOT, False)
        assert [view.volume_id for view in scene.ec2.describe_volumes()] == [root.volume_id]

    def test_keep_volumes_saves_them_from_the_end(self):
        """E15: set false before the danger."""
        scene = Scene()
        instance, data = with_data(scene, dies_with_instance=True)
        scene.ec2.keep_volumes(instance)
        scene.ec2.controls.interrupt(instance)
        scene.wait(200)
        assert len(scene.ec2.describe_volumes()) == 2
        assert state_of(scene, data) is VolumeState.AVAILABLE

    def test_not_kept_they_go_with_it(self):
        scene = Scene()
        instance, _ = with_data(scene, dies_with_instance=True)
        scene.ec2.controls.interrupt(instance, notice_seconds=0)
        scene.wait(30)
        assert scene.ec2.describe_volumes() == ()


class TestAttachment:
    """E14, E16: single attachment is a fence."""

    def test_moved_from_one_instance_to_another_with_what_was_written(self):
        scene = Scene()
        old, data = with_data(scene)
        new = scene.running()
        scene.ec2.controls.content_at(old, DATA).lines.append("order 1")
        with pytest.raises(NeedsPerson, match="VolumeInUse"):
            scene.ec2.attach_volume(data, new, DATA)
        scene.ec2.detach_volume(data)
        scene.ec2.detach_volume(data)
        with pytest.raises(NeedsPerson, match="VolumeInUse"):
            scene.ec2.attach_volume(data, new, DATA)
        scene.wait(5)
        assert state_of(scene, data) is VolumeState.AVAILABLE
        with pytest.raises(NotFound):
            scene.ec2.controls.content_at(old, DATA)
        scene.ec2.attach_volume(data, new, DATA)
        scene.ec2.attach_volume(data, new, DATA)
        assert scene.ec2.controls.content_at(new, DATA).lines == ["order 1"]
        assert [v.volume_id for v in scene.see(new).volumes if v.device == DATA] == [data]
        assert DATA not in [v.device for v in scene.see(old).volumes]

    def test_attached_later_it_survives_the_instance(self):
        """E15: later-attached data default to false."""
        scene = Scene()
        old, data = with_data(scene, dies_with_instance=True)
        new = scene.running()
        assert DATA not in [v.device for v in scene.see(new).volumes]
        scene.ec2.detach_volume(data)
        scene.wait(5)
        scene.ec2.attach_volume(data, new, DATA)
        assert [v.delete_on_termination for v in scene.see(new).volumes if v.device == DATA] == [False]
        scene.ec2.terminate_instance(old)
        scene.ec2.terminate_instance(new)
        scene.wait(30)
        assert [v.volume_id for v in scene.ec2.describe_volumes()] == [data]

    def test_a_volume_belongs_to_its_zone(self):
        """E14."""
        scene = Scene()
        volume = free_volume(scene, B.az)
        with pytest.raises(NeedsPerson, match=r"InvalidVolume\.ZoneMismatch"):
            scene.ec2.attach_volume(volume, scene.running(A), DATA)

    def test_neither_side_may_be_half_made(self):
        scene = Scene()
        instance = scene.running()
        volume = scene.ec2.create_volume("v", A.az, 10, TAGS)
        with pytest.raises(NeedsPerson, match="IncorrectState"):
            scene.ec2.attach_volume(volume, instance, DATA)
        scene.wait(2)
        with pytest.raises(NeedsPerson, match="IncorrectState"):
            scene.ec2.attach_volume(volume, scene.launched(), DATA)

    def test_a_device_is_used_once(self):
        scene = Scene()
        instance, _ = with_data(scene)
        with pytest.raises(NeedsPerson, match="already in use"):
            scene.ec2.attach_volume(free_volume(scene), instance, DATA)

    def test_the_root_of_a_running_instance_stays(self):
        scene = Scene()
        instance = scene.running(A, Mode.ONDEMAND)
        (root,) = scene.see(instance).volumes
        with pytest.raises(NeedsPerson, match="OperationNotPermitted"):
            scene.ec2.detach_volume(root.volume_id)
        scene.ec2.controls.stop(instance)
        scene.wait(20)
        scene.ec2.detach_volume(root.volume_id)
        scene.wait(5)
        assert state_of(scene, root.volume_id) is VolumeState.AVAILABLE

    def test_the_instance_ends_while_the_volume_is_being_detached(self):
        scene = Scene(replace(QUIET, physics=replace(EXACT, detach_seconds=fixed(60))))
        old, data = with_data(scene)
        new = scene.running()
        scene.ec2.detach_volume(data)
        scene.ec2.terminate_instance(old)
        scene.wait(30)
        scene.ec2.attach_volume(data, new, DATA)
        scene.ec2.detach_volume(data)
        scene.wait(59)
        assert DATA in [v.device for v in scene.see(new).volumes]
        scene.wait(1)
        assert state_of(scene, data) is VolumeState.AVAILABLE


class TestVolumes:
    def test_ask_twice_get_once_in_one_zone(self):
        """E1: a volume names its zone, so its token is zonal."""
        scene = Scene()
        first = scene.ec2.create_volume("t", A.az, 10, TAGS)
        assert scene.ec2.create_volume("t", A.az, 10, TAGS) == first
        assert scene.ec2.create_volume("t", B.az, 10, TAGS) != first
        with pytest.raises(TokenMismatch):
            scene.ec2.create_volume("t", A.az, 11, TAGS)
        assert first in {v.volume_id for v in scene.ec2.describe_volumes(token="t", tags=TAGS)}

    def test_deleted_only_when_free_and_again_is_harmless(self):
        scene = Scene()
        _, data = with_data(scene)
        with pytest.raises(NeedsPerson, match="VolumeInUse"):
            scene.ec2.delete_volume(data)
        volume = free_volume(scene)
        scene.ec2.delete_volume(volume)
        scene.ec2.delete_volume(volume)
        assert scene.ec2.describe_volumes([volume]) == ()
        with pytest.raises(NotVisible, match=r"InvalidVolume\.NotFound"):
            scene.ec2.attach_volume(volume, scene.running(), DATA)

    @pytest.mark.parametrize(("az", "size"), [("eu-west-1a", 10), (A.az, 0), (A.az, 1_000_000)])
    def test_impossible_ones_are_refused(self, az, size):
        with pytest.raises(NeedsPerson):
            Scene().ec2.create_volume("t", az, size, TAGS)


class TestSnapshots:
    def test_the_content_is_that_of_its_start(self):
        scene = Scene()
        instance, data = with_data(scene)
        written = scene.ec2.controls.content_at(instance, DATA).lines
        written.append("before")
        snapshot = scene.ec2.create_snapshot(data, TAGS)
        written.append("after")
        scene.wait(60)
        (view,) = scene.ec2.describe_snapshots([snapshot])
        assert (view.state, view.started_at, view.tags) == (
            CopyState.DONE,
            START + timedelta(seconds=10),
            TAGS,
        )
        copy = free_volume(scene, B.az, snapshot_id=snapshot)
        assert scene.ec2.controls.content_of(copy).lines == ["before"]
        scene.ec2.controls.content_of(copy).lines.append("elsewhere")
        other = scene.running(B, devices=[BlockDevice(DATA, 10, snapshot)])
        assert scene.ec2.controls.content_at(other, DATA).lines == ["before"]

    def test_it_takes_minutes_more_for_a_bigger_volume_less_for_the_next(self):
        """E10: a finished snapshot makes the next one incremental."""
        scene = Scene(replace(QUIET, physics=replace(EXACT, snapshot_seconds_per_gib=60.0)))
        _, data = with_data(scene)

        def minutes() -> int:
            snapshot, waited = scene.ec2.create_snapshot(data, TAGS), 0
            while scene.ec2.describe_snapshots([snapshot])[0].state is CopyState.PENDING:
                scene.wait(60)
                waited += 1
            return waited

        assert minutes() > minutes() > 1

    def test_of_a_volume_that_is_being_made_there_is_none(self):
        scene = Scene()
        volume = scene.ec2.create_volume("t", A.az, 10, TAGS)
        with pytest.raises(NeedsPerson, match="IncorrectState"):
            scene.ec2.create_snapshot(volume, TAGS)

    def test_a_pending_one_cannot_be_restored(self):
        scene = Scene()
        _, data = with_data(scene)
        snapshot = scene.ec2.create_snapshot(data, TAGS)
        with pytest.raises(NeedsPerson, match="IncorrectState"):
            scene.ec2.create_volume("t", A.az, 10, TAGS, snapshot)

    def test_a_volume_is_no_smaller_than_its_snapshot(self):
        scene = Scene()
        _, data = with_data(scene)
        snapshot = scene.ec2.create_snapshot(data, TAGS)
        scene.wait(60)
        with pytest.raises(NeedsPerson, match="InvalidParameterValue"):
            scene.ec2.create_volume("t", A.az, 9, TAGS, snapshot)

    def test_five_pending_per_volume(self):
        """E11."""
        scene = Scene()
        instance, _ = with_data(scene)
        (root,) = (v.volume_id for v in scene.see(instance).volumes if v.device == ROOT)
        for _ in range(5):
            scene.ec2.create_snapshot(root, TAGS)
        with pytest.raises(Throttled, match="ConcurrentSnapshotLimitExceeded"):
            scene.ec2.create_snapshot(root, TAGS)
        with pytest.raises(Throttled, match="ConcurrentSnapshotLimitExceeded"):
            scene.ec2.create_image(instance, "one-too-many", TAGS)
        assert len(scene.ec2.describe_snapshots()) == 5
        scene.wait(60)
        scene.ec2.create_snapshot(root, TAGS)

    def test_one_may_come_to_nothing(self):
        scene = Scene()
        instance, data = with_data(scene)
        snapshot = scene.ec2.create_snapshot(data, TAGS)
        image = scene.ec2.create_image(instance, "spoilt", TAGS)
        scene.ec2.controls.fail_copy(snapshot)
        owned = scene.ec2.describe_images([image])[0].snapshots[DATA]
        scene.ec2.controls.fail_copy(owned)
        scene.wait(600)
        assert scene.ec2.describe_snapshots([snapshot])[0].state is CopyState.FAILED
        assert scene.ec2.describe_images([image])[0].state is CopyState.FAILED

    def test_it_outlives_its_volume_and_deleting_again_is_harmless(self):
        scene = Scene()
        volume = free_volume(scene)
        snapshot = scene.ec2.create_snapshot(volume, TAGS)
        scene.ec2.delete_volume(volume)
        scene.wait(60)
        assert scene.ec2.describe_snapshots(tags=TAGS)[0].snapshot_id == snapshot
        scene.ec2.delete_snapshot(snapshot)
        scene.ec2.delete_snapshot(snapshot)
        assert scene.ec2.describe_snapshots() == ()


class TestImages:
    def test_all_volumes_without_a_reboot_minutes_later(self):
        """E9, E10."""
        scene = Scene()
        instance, _ = with_data(scene)
        scene.ec2.controls.content_at(instance, DATA).lines.append("state")
        scene.ec2.happenings()
        image = scene.ec2.create_image(instance, "workload-1", TAGS)
        scene.ec2.controls.content_at(instance, DATA).lines.append("later")
        (view,) = scene.ec2.describe_images(name="workload-1")
        assert (view.state, view.tags, set(view.snapshots)) == (CopyState.PENDING, TAGS, {ROOT, DATA})
        assert {s.snapshot_id for s in scene.ec2.describe_snapshots(tags=TAGS)} == set(
            view.snapshots.values()
        )
        scene.wait(90)
        assert scene.ec2.describe_images([image])[0].state is CopyState.DONE
        assert scene.see(instance).state is InstanceState.RUNNING
        clone = scene.running(B, image=image)
        assert scene.ec2.controls.content_at(clone, DATA).lines == ["state"]
        assert {v.device: v.delete_on_termination for v in scene.see(clone).volumes} == {
            ROOT: True,
            DATA: False,
        }

    def test_a_name_is_used_once_and_is_the_handle(self):
        """E2: CreateImage takes no token; the name is unique."""
        scene = Scene()
        instance = scene.running()
        image = scene.ec2.create_image(instance, "only-one", TAGS)
        with pytest.raises(NeedsPerson, match=r"InvalidAMIName\.Duplicate"):
            scene.ec2.create_image(instance, "only-one", TAGS)
        assert [view.image_id for view in scene.ec2.describe_images(name="only-one")] == [image]
        scene.ec2.deregister_image(image)
        assert scene.ec2.create_image(instance, "only-one", TAGS) != image

    def test_a_name_has_the_letters_that_ec2_takes(self):
        scene = Scene()
        with pytest.raises(NeedsPerson, match=r"InvalidAMIName\.Malformed"):
            scene.ec2.create_image(scene.running(), "why: because", TAGS)

    def test_deregistering_leaves_the_snapshots(self):
        """E36; while the image owns them they cannot be deleted."""
        scene = Scene()
        image = scene.ec2.create_image(scene.running(), "short-lived", TAGS)
        scene.wait(90)
        (snapshot,) = scene.ec2.describe_images([image])[0].snapshots.values()
        with pytest.raises(NeedsPerson, match=r"InvalidSnapshot\.InUse"):
            scene.ec2.delete_snapshot(snapshot)
        running = scene.running(image=image)
        scene.ec2.deregister_image(image)
        scene.ec2.deregister_image(image)
        assert scene.ec2.describe_images() == ()
        assert scene.see(running).state is InstanceState.RUNNING
        assert len(scene.ec2.describe_snapshots()) == 1
        with pytest.raises(NotVisible):
            scene.launched(image=image)
        scene.ec2.delete_snapshot(snapshot)
        assert scene.ec2.describe_snapshots() == ()

    def test_somebody_elses_image_is_neither_listed_nor_ours_to_remove(self):
        scene = Scene()
        assert scene.ec2.describe_images() == ()
        assert scene.ec2.describe_images([scene.image])[0].name == "debian"
        assert scene.ec2.inventory().tags_by_id() == {}
        with pytest.raises(NeedsPerson):
            scene.ec2.deregister_image(scene.image)

    def test_only_of_what_runs_or_is_stopped(self):
        scene = Scene()
        with pytest.raises(NeedsPerson, match="IncorrectState"):
            scene.ec2.create_image(scene.launched(), "too-early", TAGS)


def test_an_auditor_sees_everything_that_lives_with_its_tags():
    """Invariant 6."""
    scene = Scene(replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(3))))
    instance = scene.running(tags={"who": "us"})
    scene.ec2.create_image(instance, "image", {"who": "us"})
    scene.ec2.create_volume("t", A.az, 1, {"who": "nobody"})
    tags = scene.ec2.inventory().tags_by_id()
    assert sorted(key.split("-")[0] for key in tags) == ["ami", "i", "snap", "vol", "vol"]
    assert sorted(each["who"] for each in tags.values()) == ["nobody", "us", "us", "us", "us"]


def test_content_may_be_set():
    scene = Scene()
    volume = free_volume(scene)
    scene.ec2.controls.set_content(volume, Notes(["restored"]))
    assert scene.ec2.controls.content_of(volume).lines == ["restored"]
