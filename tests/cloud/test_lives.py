"""Interruptions, endings, reboots: what EC2 does to an instance, and what can be seen of it."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from spotguard.cloud.simulated.capacity import interruptions_per_hour
from spotguard.cloud.simulated.physics import Climate
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.errors import NeedsPerson, NotVisible, PoolDry
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.ports.metadata import InterruptionNotice
from tests.cloud.scene import EXACT, QUIET, START, A, B, Scene

STORM = Climate(per_hour={A.id: 0.5}, unheard_share=0.0, rebalance_share=0.0, dry_spells_per_interruption=0.0)


class TestEndings:
    def test_terminated_by_us(self):
        """E3, E4: idempotent; shutting-down proves nothing yet."""
        scene = Scene()
        instance = scene.running()
        scene.wait(100)
        scene.ec2.terminate_instance(instance)
        scene.ec2.terminate_instance(instance)
        seen = scene.see(instance)
        assert (seen.state, seen.ended_at) == (InstanceState.SHUTTING_DOWN, START + timedelta(seconds=110))
        assert seen.end_reason is EndReason.REQUESTED
        scene.wait(30)
        scene.ec2.terminate_instance(instance)
        assert scene.see(instance).state is InstanceState.TERMINATED
        assert scene.heard(instance) == [
            (70, HappeningKind.BOOTED),
            (110, HappeningKind.ENDING),
            (140, HappeningKind.TERMINATED),
        ]

    def test_one_that_never_ran_shows_zero_seconds(self):
        scene = Scene()
        instance = scene.launched()
        scene.wait(4)
        scene.ec2.terminate_instance(instance)
        scene.wait(600)
        seen = scene.see(instance)
        assert seen.launched_at == seen.ended_at
        assert HappeningKind.BOOTED not in [kind for _, kind in scene.heard(instance)]

    def test_a_stranger_ends_it(self):
        scene = Scene()
        instance = scene.running()
        scene.ec2.controls.end_by_stranger(instance)
        assert scene.see(instance).end_reason is EndReason.REQUESTED

    def test_failing_hardware_gives_no_notice_and_no_reason(self):
        scene = Scene()
        instance = scene.running()
        scene.ec2.controls.fail_instance(instance)
        assert scene.see(instance).state is InstanceState.SHUTTING_DOWN
        assert scene.see(instance).end_reason is None

    def test_spot_cannot_be_stopped(self):
        """aws-facts: a one-time spot instance can only be terminated (UnsupportedOperation)."""
        scene = Scene()
        with pytest.raises(NeedsPerson, match="UnsupportedOperation"):
            scene.ec2.controls.stop(scene.running())

    def test_one_that_hibernates_goes_on_where_it_was(self):
        """EC2 User Guide, "Hibernate your Amazon EC2 instance": its processes resume."""
        scene = Scene()
        instance = scene.running(A, Mode.ONDEMAND)
        with pytest.raises(NeedsPerson, match="UnsupportedHibernationConfiguration"):
            scene.ec2.controls.hibernate(instance)
        scene.ec2.controls.configure_hibernation(instance)
        scene.ec2.controls.hibernate(instance)
        scene.wait(20)
        scene.ec2.controls.start(instance)
        scene.wait(70)
        kinds = [kind for _, kind in scene.heard(instance)]
        assert kinds[-3:] == [HappeningKind.ENDING, HappeningKind.HIBERNATED, HappeningKind.RESUMED]
        scene.ec2.controls.stop(instance)
        scene.wait(20)
        scene.ec2.controls.start(instance)
        scene.wait(70)
        assert scene.heard(instance)[-1][1] is HappeningKind.BOOTED

    def test_ondemand_stops_and_starts_as_another_boot(self):
        """B4b: stopped and started is a new boot."""
        scene = Scene()
        instance = scene.running(A, Mode.ONDEMAND)
        first_boot = scene.ec2.metadata(instance).identity().boot_id
        scene.wait(100)
        scene.ec2.controls.stop(instance)
        assert scene.see(instance).state is InstanceState.STOPPING
        scene.wait(20)
        assert scene.see(instance).state is InstanceState.STOPPED
        scene.ec2.controls.start(instance)
        scene.wait(10)
        assert scene.see(instance).state is InstanceState.RUNNING
        assert scene.see(instance).ended_at is None
        assert scene.ec2.metadata(instance).identity().boot_id != first_boot

    def test_a_reboot_is_the_same_boot_to_ec2(self):
        """B4b: a reboot resumes."""
        scene = Scene()
        instance = scene.running()
        boot = scene.ec2.metadata(instance).identity().boot_id
        scene.wait(60)
        scene.ec2.controls.reboot(instance)
        scene.wait(30)
        assert scene.heard(instance) == [
            (70, HappeningKind.BOOTED),
            (70, HappeningKind.REBOOTED),
            (100, HappeningKind.BOOTED),
        ]
        assert scene.ec2.metadata(instance).identity().boot_id == boot
        assert scene.see(instance).state is InstanceState.RUNNING

    def test_rebooted_while_it_boots_it_boots_once(self):
        scene = Scene()
        instance = scene.running()
        scene.wait(40)
        scene.ec2.controls.reboot(instance)
        scene.wait(300)
        assert scene.heard(instance) == [(50, HappeningKind.REBOOTED), (80, HappeningKind.BOOTED)]


class TestInterruptions:
    def test_notice_then_the_end_two_minutes_later_whatever_the_guest_does(self):
        """E17."""
        scene = Scene()
        instance = scene.running()
        scene.wait(90)
        scene.ec2.controls.interrupt(instance)
        notice = InterruptionNotice("terminate", START + timedelta(seconds=220))
        assert scene.ec2.metadata(instance).interruption_notice() == notice
        scene.wait(119)
        assert scene.see(instance).state is InstanceState.RUNNING
        scene.wait(1)
        seen = scene.see(instance)
        assert (seen.state, seen.end_reason, seen.ended_at) == (
            InstanceState.SHUTTING_DOWN,
            EndReason.INTERRUPTED,
            notice.action_time,
        )
        assert scene.heard(instance)[1:] == [(100, HappeningKind.SIGNALLED), (220, HappeningKind.ENDING)]

    def test_without_notice(self):
        """E17: best effort; it may not come."""
        scene = Scene()
        instance = scene.running()
        scene.ec2.controls.interrupt(instance, notice_seconds=0)
        assert scene.see(instance).end_reason is EndReason.INTERRUPTED
        assert scene.heard(instance) == [(10, HappeningKind.ENDING)]

    def test_a_recommendation_stays_and_nothing_need_follow(self):
        """E18: there is no all-clear."""
        scene = Scene()
        instance = scene.running()
        assert scene.ec2.metadata(instance).rebalance_recommendation() is None
        scene.ec2.controls.signal_rebalance(instance)
        scene.wait(86_400)
        seen = scene.ec2.metadata(instance).rebalance_recommendation()
        assert seen is not None
        assert seen.notice_time == START + timedelta(seconds=10)
        assert scene.see(instance).state is InstanceState.RUNNING

    def test_terminated_by_us_under_notice_is_terminated_by_us(self):
        scene = Scene()
        instance = scene.running()
        scene.ec2.controls.interrupt(instance)
        scene.wait(60)
        scene.ec2.terminate_instance(instance)
        scene.wait(600)
        assert scene.see(instance).end_reason is EndReason.REQUESTED

    def test_ondemand_is_never_interrupted(self):
        scene = Scene()
        instance = scene.running(A, Mode.ONDEMAND)
        scene.ec2.controls.interrupt(instance)
        scene.ec2.controls.interrupt(A)
        scene.ec2.controls.signal_rebalance(instance)
        scene.wait(600)
        assert scene.see(instance).state is InstanceState.RUNNING
        assert scene.ec2.metadata(instance).rebalance_recommendation() is None

    def test_a_pool_falls_together_within_three_minutes_and_runs_dry(self):
        """aws-facts: over 92 % of co-interruptions fall within 3 minutes."""
        scene = Scene()
        doomed, safe = [scene.running(A) for _ in range(8)], scene.running(B)
        scene.ec2.controls.interrupt(A)
        with pytest.raises(PoolDry):
            scene.launched(A)
        scene.wait(330)
        ends = [scene.see(instance).ended_at - scene.clock.now() for instance in doomed]
        assert all(timedelta(seconds=-210) <= end <= timedelta(seconds=-30) for end in ends)
        assert len(set(ends)) > 1
        signalled = [each for each in scene.ec2.happenings() if each.kind is HappeningKind.SIGNALLED]
        assert {each.instance_id for each in signalled} == set(doomed)
        assert {scene.see(instance).state for instance in doomed} == {InstanceState.TERMINATED}
        assert scene.see(safe).state is InstanceState.RUNNING


class TestWeather:
    """Semi-synthetic: the rates are settable, the times are drawn."""

    def days(self, scene: Scene, hours: int) -> list[float]:
        """Keep one instance in A as far as it lets us; when each was interrupted."""
        instance, ends = None, []
        for hour in range(hours):
            scene.wait(3600)
            view = None if instance is None else next(iter(scene.ec2.describe_instances([instance])), None)
            if view is None or view.state is not InstanceState.RUNNING:
                if view is not None and view.end_reason is EndReason.INTERRUPTED:
                    ends.append(hour)
                try:
                    instance = scene.running(A)
                except PoolDry:
                    instance = None
        return ends

    def test_a_stormy_pool_interrupts_at_about_its_rate(self):
        scene = Scene(replace(QUIET, climate=STORM))
        assert 50 < len(self.days(scene, 400)) < 200

    def test_a_calm_pool_is_calm(self):
        scene = Scene(replace(QUIET, climate=Climate(stormy=frozenset({B.id}))))
        assert self.days(scene, 24 * 14) == []

    def test_the_seed_makes_the_weather_whatever_we_do(self):
        def first_notice(*, busy: bool):
            scene = Scene(replace(QUIET, climate=STORM), seed=5)
            instance = scene.running()
            if busy:
                for _ in range(5):
                    scene.launched(B)
            while not (notice := scene.ec2.metadata(instance).interruption_notice()):
                scene.wait(1)
            return notice.action_time

        assert first_notice(busy=False) == first_notice(busy=True)

    def test_some_come_unheard_and_some_recommendations_are_false(self):
        climate = replace(STORM, per_hour={A.id: 20, B.id: 20}, unheard_share=0.5, rebalance_share=1.0)
        scene = Scene(replace(QUIET, climate=climate))
        heard = {"unheard": 0, "heard": 0, "false alarm": 0}
        for _ in range(60):
            scene.ec2.controls.end_dryness(A)
            instance = scene.running(A)
            metadata = scene.ec2.metadata(instance)
            recommended = noticed = False
            for _ in range(60):
                scene.wait(30)
                if scene.see(instance).state is not InstanceState.RUNNING:
                    break
                noticed = noticed or metadata.interruption_notice() is not None
                if metadata.rebalance_recommendation() and not recommended:
                    recommended = True
                    heard["false alarm"] += not noticed
            else:
                scene.ec2.terminate_instance(instance)
                continue
            heard["heard" if noticed else "unheard"] += 1
        assert min(heard.values()) > 5

    def test_calm_and_stormy_pools_differ_by_three_orders_of_magnitude(self):
        """data: measured."""
        climate = Climate(stormy=frozenset({A.id}))
        world = Scene().ec2._world
        ratio = interruptions_per_hour(climate, A.id, world) / interruptions_per_hour(climate, B.id, world)
        assert ratio == pytest.approx(1000)

    def test_dry_spells_come_and_go_without_interruptions(self):
        climate = Climate(per_hour={A.id: 0.2}, dry_spells_per_interruption=5.0)
        scene = Scene(replace(QUIET, climate=climate))
        seen = []
        for _ in range(300):
            scene.wait(600)
            try:
                scene.ec2.terminate_instance(scene.launched(A))
                seen.append(True)
            except PoolDry:
                seen.append(False)
        assert 5 < sum(before != after for before, after in pairwise(seen)) < 150


class TestTime:
    def test_next_event_says_when_something_changes_by_itself(self):
        scene = Scene()
        assert scene.ec2.next_event_at() is None
        instance = scene.launched()
        assert scene.ec2.next_event_at() == START + timedelta(seconds=10)
        scene.clock.time = scene.ec2.next_event_at()
        scene.ec2.advance()
        assert scene.see(instance).state is InstanceState.RUNNING

    def test_one_long_step_is_the_same_as_many_short_ones(self):
        def story(step: int):
            scene = Scene(replace(QUIET, climate=replace(STORM, per_hour={A.id: 5.0}, rebalance_share=0.5)))
            instances = [scene.launched(A) for _ in range(3)]
            for _ in range(0, 7200, step):
                scene.wait(step)
            return [scene.heard(i) for i in instances], [scene.ec2.meter_usd()]

        assert story(1) == story(7200)

    def test_times_are_whole_seconds_even_on_a_clock_with_fractions(self):
        scene = Scene()
        scene.wait(0.75)
        instance = scene.launched()
        scene.wait(10.5)
        assert scene.see(instance).launched_at == START + timedelta(seconds=10)

    def test_what_ec2_forgot_the_controls_still_know(self):
        scene = Scene(replace(QUIET, physics=replace(EXACT, vanish_after_seconds=0)))
        instance = scene.running()
        scene.ec2.terminate_instance(instance)
        scene.wait(30)
        with pytest.raises(NotVisible):
            scene.ec2.terminate_instance(instance)
        scene.ec2.controls.end_by_stranger(instance)
