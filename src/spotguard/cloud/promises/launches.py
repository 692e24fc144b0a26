"""Promises about instances: asked twice, made once; shown as they were asked for; their end."""

from __future__ import annotations

from dataclasses import replace

from spotguard.cloud.promises.stage import RUN_TAG, Stage, refused, require
from spotguard.domain.clock import EARLIEST
from spotguard.domain.errors import NeedsPerson, NotVisible, TokenMismatch
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.ports.cloud import FleetRequest
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.ports.shape import MetadataOptions, Shape, differences

NOBODY = InstanceId("i-0fedcba9876543210")


def the_account_and_the_region_are_told(stage: Stage) -> None:
    caller = stage.cloud.caller()
    require(len(caller.account_id) == len("123456789012"), f"account {caller.account_id!r}")
    require(caller.region == stage.home.region, f"region {caller.region!r}")


def a_launch_carries_what_was_asked_from_its_first_answer_on(stage: Stage) -> None:
    request = stage.request()
    first = stage.cloud.run_instance(request)
    for view in (first, stage.see(first.instance_id)):
        require(view.pool.id == stage.home.id, f"pool {view.pool.id}")
        require(view.mode is stage.mode, f"mode {view.mode}")
        require(view.image_id == stage.image_id, f"image {view.image_id}")
        require(view.token == request.token, f"token {view.token}")
        require(all(view.tags.get(k) == v for k, v in request.tags.items()), f"tags {dict(view.tags)}")
        require(
            not view.launched_at.microsecond and view.launched_at.tzinfo is not None, "not EC2's own time"
        )
        require(view.launched_at > EARLIEST, "no launch time")


def an_on_demand_launch_is_shown_as_one(stage: Stage) -> None:
    view = stage.launched(mode=Mode.ONDEMAND)
    require(stage.see(view.instance_id).mode is Mode.ONDEMAND, "shown as spot")


def the_same_call_again_gives_the_same_instance(stage: Stage) -> None:
    request = stage.request()
    first, again = stage.cloud.run_instance(request), stage.cloud.run_instance(request)
    require(first.instance_id == again.instance_id, f"{again.instance_id} besides {first.instance_id}")


def a_token_with_other_parameters_is_a_mismatch(stage: Stage) -> None:
    request = stage.request()
    stage.cloud.run_instance(request)
    other = replace(request, user_data="something else")
    refused(TokenMismatch, lambda: stage.cloud.run_instance(other))


def the_same_token_in_another_zone_launches_a_second_instance(stage: Stage) -> None:
    """E1: the reason why every place has a token of its own."""
    request = stage.request()
    first = stage.cloud.run_instance(request)
    second = stage.cloud.run_instance(replace(request, pool=stage.elsewhere))
    require(first.instance_id != second.instance_id, "one instance in two zones")


def an_instance_is_found_by_id_by_token_and_by_tag(stage: Stage) -> None:
    request = stage.request()
    made = stage.cloud.run_instance(request).instance_id
    stage.see(made)
    looks = {
        "id": stage.cloud.describe_instances([made, NOBODY]),
        "token": stage.cloud.describe_instances(token=request.token),
        "tag": stage.cloud.describe_instances(tags={TOKEN_TAG: request.token}),
        "tags": stage.cloud.describe_instances(tags=stage.tags),
        "all of it": stage.cloud.describe_instances([made], token=request.token, tags=stage.tags),
    }
    for by, found in looks.items():
        require([view.instance_id for view in found] == [made], f"by {by}: {len(found)} found")


def what_does_not_match_every_condition_is_left_out(stage: Stage) -> None:
    made = stage.launched().instance_id
    stage.see(made)
    looks = {
        "another's id": stage.cloud.describe_instances([NOBODY]),
        "another's token": stage.cloud.describe_instances([made], token=ClientToken("nobody's")),
        "another's tag": stage.cloud.describe_instances([made], tags={RUN_TAG: "another"}),
        "a pattern": stage.cloud.describe_instances(tags={RUN_TAG: "*"}),
    }
    for what, found in looks.items():
        require(not found, f"{what} finds {[view.instance_id for view in found]}")


def it_is_pending_then_running_and_has_an_address(stage: Stage) -> None:
    first = stage.launched()
    require(first.state is InstanceState.PENDING, f"it begins {first.state}")
    running = stage.until(
        lambda: next(
            (v for v in [stage.see(first.instance_id)] if v.state is InstanceState.RUNNING),
            None,
        ),
        "it runs",
    )
    require(bool(running.private_ip), "no private address") if running else None


def an_ended_instance_says_when_and_why(stage: Stage) -> None:
    made = stage.running()
    stage.cloud.terminate_instance(made)
    stage.cloud.terminate_instance(made)  # again is harmless
    stage.until(lambda: stage.see(made).state is InstanceState.TERMINATED, "it is terminated")
    view = stage.see(made)
    require(view.ended_at is not None and view.ended_at >= view.launched_at, f"ended at {view.ended_at}")
    require(view.end_reason is EndReason.REQUESTED, f"ended because {view.end_reason}")
    stage.cloud.terminate_instance(made)


def a_token_whose_instance_has_ended_never_makes_another(stage: Stage) -> None:
    request = stage.request()
    made = stage.cloud.run_instance(request).instance_id
    stage.see(made)
    stage.end(made)
    try:
        again = stage.cloud.run_instance(request)
    except TokenMismatch:  # IdempotentInstanceTerminated: the other answer that EC2 gives
        return
    require(again.instance_id == made, f"{again.instance_id} is a second one")


def ending_what_is_not_shown_is_said(stage: Stage) -> None:
    refused(NotVisible, lambda: stage.cloud.terminate_instance(NOBODY))


def tags_that_aws_keeps_for_itself_are_refused_and_nothing_is_made(stage: Stage) -> None:
    """E37."""
    request = stage.request()
    illegal = replace(request, tags={**request.tags, "aws:cloudformation:stack-name": "x"})
    refused(NeedsPerson, lambda: stage.cloud.run_instance(illegal))
    stage.wait(5)
    require(not stage.cloud.describe_instances(tags=stage.tags), "something was made")


def an_image_that_ec2_does_not_show_cannot_be_launched(stage: Stage) -> None:
    nothing = ImageId("ami-0fedcba9876543210")
    refused(NotVisible, lambda: stage.launched(image_id=nothing))


def an_instant_fleet_gives_one_instance_of_a_candidate(stage: Stage) -> None:
    token = stage.token()
    candidates = [(stage.home, stage.mode), (stage.elsewhere, stage.mode), (stage.home, Mode.ONDEMAND)]
    request = FleetRequest(token, candidates, stage.image_id, {**stage.tags, TOKEN_TAG: token}, "note")
    made = stage.cloud.create_fleet(request)
    view = stage.see(made.instance_id)
    require((view.pool.id, view.mode) in [(p.id, m) for p, m in candidates], f"{view.pool.id} {view.mode}")
    require(all(view.tags.get(k) == v for k, v in request.tags.items()), f"tags {dict(view.tags)}")
    again = stage.cloud.create_fleet(request)
    require(again.instance_id == made.instance_id, f"asked twice: {again.instance_id} too")
    found = stage.cloud.describe_instances(tags={TOKEN_TAG: token})
    require([v.instance_id for v in found] == [made.instance_id], f"{len(found)} by its tag")


def a_fleet_without_candidates_is_refused(stage: Stage) -> None:
    request = FleetRequest(stage.token(), [], stage.image_id, stage.tags)
    refused(NeedsPerson, lambda: stage.cloud.create_fleet(request))


def a_clone_keeps_its_originals_shape(stage: Stage) -> None:
    """IMDSv2 stays required, the hop limit, the groups, the owner's tags; read back and compared."""
    asked = Shape(metadata=MetadataOptions(hop_limit=3, instance_tags=True))
    owner = {"Name": "original", "team": "payments"}
    request = stage.request(shape=asked)
    made = stage.cloud.run_instance(replace(request, tags={**owner, **request.tags})).instance_id
    stage.see(made)
    original = stage.cloud.describe_shape(made)
    require(original.metadata == asked.metadata, f"metadata options {original.metadata}")
    require(original.owner_tags == owner, f"owner's tags {dict(original.owner_tags)}")
    require(bool(original.vpc_id) and stage.home.az in original.subnets, f"subnets {original.subnets}")
    follow = stage.request(shape=original)
    clone = stage.cloud.run_instance(replace(follow, tags={**owner, **follow.tags})).instance_id
    stage.see(clone)
    told = differences(original, stage.cloud.describe_shape(clone))
    require(not told, "; ".join(told))


def the_shape_of_what_is_not_shown_is_not_known(stage: Stage) -> None:
    refused(NotVisible, lambda: stage.cloud.describe_shape(NOBODY))


def a_running_instance_passes_its_checks_or_has_not_been_checked_yet(stage: Stage) -> None:
    require(stage.cloud.impaired_since(stage.running()) is None, "impaired from its first minutes on")


def the_checks_of_what_is_not_shown_are_not_known(stage: Stage) -> None:
    refused(NotVisible, lambda: stage.cloud.impaired_since(NOBODY))


def instance_types_that_the_region_lacks_are_left_out(stage: Stage) -> None:
    found = stage.cloud.describe_instance_types([stage.home.instance_type, "z9.nothing"])
    require([f.instance_type for f in found] == [stage.home.instance_type], f"{len(found)} types")
    require(found[0].memory_mib > 0 and found[0].vcpus > 0 and bool(found[0].architectures), f"{found[0]}")


PROMISES = (
    the_account_and_the_region_are_told,
    a_launch_carries_what_was_asked_from_its_first_answer_on,
    an_on_demand_launch_is_shown_as_one,
    the_same_call_again_gives_the_same_instance,
    a_token_with_other_parameters_is_a_mismatch,
    the_same_token_in_another_zone_launches_a_second_instance,
    an_instance_is_found_by_id_by_token_and_by_tag,
    what_does_not_match_every_condition_is_left_out,
    it_is_pending_then_running_and_has_an_address,
    an_ended_instance_says_when_and_why,
    a_token_whose_instance_has_ended_never_makes_another,
    ending_what_is_not_shown_is_said,
    tags_that_aws_keeps_for_itself_are_refused_and_nothing_is_made,
    an_image_that_ec2_does_not_show_cannot_be_launched,
    an_instant_fleet_gives_one_instance_of_a_candidate,
    a_fleet_without_candidates_is_refused,
    a_clone_keeps_its_originals_shape,
    the_shape_of_what_is_not_shown_is_not_known,
    a_running_instance_passes_its_checks_or_has_not_been_checked_yet,
    the_checks_of_what_is_not_shown_are_not_known,
    instance_types_that_the_region_lacks_are_left_out,
)
