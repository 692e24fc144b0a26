"""A launch as its stories see it: intentions kept in memory, a wish, and the simulated EC2."""

from dataclasses import replace

from spotguard.domain.instances import Mode
from spotguard.execution.launching import Candidate, LaunchWish, launch
from spotguard.ports.intentions import IntentionStatus
from tests.cloud.scene import QUIET, TAGS, Scene


class KeptIntentions:
    """Implements `execution.intentions.Intentions`; what was opened before EC2 was asked is seen in `log`."""

    def __init__(self):
        self.known = []
        self.log = []

    def of(self, seed):
        return [i for i in self.known if i.seed == seed]

    def open(self, intention):
        self.log.append(("open", intention.token))
        if all(i.token != intention.token for i in self.known):
            self.known.append(intention)

    def close(self, token, outcome):
        self.log.append(("close", token))
        self.known = [
            replace(i, outcome=outcome) if i.token == token and i.outcome is None else i for i in self.known
        ]

    def still_open(self):
        return [i for i in self.known if i.status is IntentionStatus.OPEN]


class WithoutRoom:
    """EC2 as it must not be relied on not to be: it refuses launches without a look at their tokens."""

    def __init__(self, inner, refusal):
        self._inner, self._refusal = inner, refusal

    def run_instance(self, request):
        raise self._refusal

    create_fleet = run_instance

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Launching(Scene):
    """A scene in which one wish is pursued."""

    def __init__(self, *candidates, settings=QUIET, **more):
        super().__init__(settings)
        self.intentions = KeptIntentions()
        self.wish = LaunchWish(
            seed="switch-1",
            purpose="move",
            candidates=[c if isinstance(c, Candidate) else Candidate(c, Mode.SPOT) for c in candidates],
            image_id=self.image,
            tags=TAGS,
            user_data=lambda: "hello",
            **more,
        )

    def go(self, **changes):
        return launch(self.ec2, self.intentions, replace(self.wish, **changes), self.clock.now())

    def made(self):
        return self.ec2.describe_instances()
