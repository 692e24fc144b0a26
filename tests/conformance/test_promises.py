"""One suite for every provider of the Cloud port: the strict simulator in memory and on the wire, and plain moto.

A real account is checked with the same promises by `spotguard verify-aws`; that has never been run here.
"""

import pytest

from spotguard.cloud.promises.all import PROMISES, sentence
from spotguard.cloud.promises.stage import Broken, refused
from spotguard.domain.errors import NotVisible
from tests.conformance.providers import lines, memory, wire

NO_TOKENS = "moto ignores ClientToken"
NO_FILTER = "moto has no filter client-token, and answers it with a crash"
NO_PRICES = "moto has no price list"

LIES = {
    "the same call again gives the same instance": NO_TOKENS,
    "a token with other parameters is a mismatch": NO_TOKENS,
    "an instance is found by id by token and by tag": NO_FILTER,
    "what does not match every condition is left out": NO_FILTER,
    "a token whose instance has ended never makes another": NO_TOKENS,
    "tags that aws keeps for itself are refused and nothing is made": "moto sets aws: tags",
    "an image that ec2 does not show cannot be launched": "moto launches images that do not exist",
    "an instant fleet gives one instance of a candidate": NO_TOKENS,
    "a volume is made once and found again": NO_TOKENS,
    "a volume is in one instances hands alone": "moto attaches a volume to two instances at once",
    "a volume stays in its zone": "moto attaches across zones",
    "a detached volume becomes available": "moto detaches only when told from which instance",
    "what may serve outlives its instance": "moto forgets the root volume when a data volume is asked for",
    "an image has one name and owns its snapshots": "moto cannot tag the snapshots of an image",
    "on demand prices are known by type": NO_PRICES,
    "storage has its rates": NO_PRICES,
    "what runs is counted against the quota of its market": "moto knows no quotas of EC2",
}
"""What plain moto does otherwise than EC2; each is expected, and a lie that it gives up fails here."""


def checked(lies):
    def one(promise):
        reason = lies.get(sentence(promise))
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
        return pytest.param(promise, id=sentence(promise), marks=marks)

    return pytest.mark.parametrize("promise", [one(promise) for promise in PROMISES])


@checked({})
def test_in_memory(promise):
    with memory() as stage:
        promise(stage)
        stage.clear()
        assert not [name for name, tags in stage.cloud.inventory().tags_by_id().items() if name[:3] == "vol"]


@checked({})
def test_on_the_wire(promise):
    with wire() as stage:
        promise(stage)
        stage.clear()


@checked({})
def test_as_lines_between_processes(promise):
    with lines() as stage:
        promise(stage)
        stage.clear()


@checked(LIES)
def test_against_plain_moto(promise, foreign):
    promise(foreign.stage)


def test_a_promise_can_be_broken():
    with memory() as stage, pytest.raises(Broken, match="not refused"):
        refused(NotVisible, stage.cloud.caller)
