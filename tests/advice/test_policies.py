"""A standing standby and a policy that is asked hourly, in SpotBench's little worlds."""

from math import inf

from spotguard.advice.policies import Hourly, Standing
from spotguard.backtest.baselines import Reactive
from spotguard.backtest.policy import ONDEMAND, Intention, Wake
from tests.backtest.little import A2, HOUR, A, B, life, played, world


class Sleepless:
    """Stays on demand and wants to be asked every five minutes."""

    sees_states = False

    def __init__(self):
        self.asked = 0

    def decide(self, view):
        self.asked += 1
        return Intention(wake=Wake(at=view.now + 300, below_usd=0.2))

    def fall_back(self, view):
        return ()


class Seen(Standing):
    """Remembers where the standby was wanted."""

    def __init__(self):
        super().__init__(Reactive())
        self.wanted = []

    def decide(self, view):
        told = super().decide(view)
        if view.at != ONDEMAND and told.go is None:
            self.wanted.append((view.at, told.standby))
        return told


def test_the_standby_lives_in_another_zone_though_its_own_has_a_cheaper_pool():
    policy = Seen()
    played(world((A, A2, B), [[0.4, 0.41, 0.5]]), policy)
    assert set(policy.wanted) == {(0, 2)}


def test_where_no_other_zone_is_another_pool_has_it_and_else_on_demand():
    near, alone = Seen(), Seen()
    played(world((A, A2), [[0.4, 0.41]]), near)
    played(world((A,), [[0.4]]), alone)
    assert (set(near.wanted), set(alone.wanted)) == ({(0, 1)}, {(0, ONDEMAND)})


def test_it_takes_over_within_a_cut_over_and_another_one_is_made():
    policy = Seen()
    outcome = played(world((A, B), [[0.4, 0.5]], [life(strikes=[10.0]), life()]), policy)
    assert outcome.interruptions == 1
    assert outcome.worst_down_seconds == 15
    assert policy.wanted[-1][0] == 1
    bare = played(world((A, B), [[0.4, 0.5]], [life(strikes=[10.0]), life()]), Reactive())
    assert bare.worst_down_seconds > 15
    assert outcome.standby_usd > bare.standby_usd == 0


def test_who_stays_on_demand_is_asked_hourly_and_at_once_when_its_price_comes():
    slow, fast = Sleepless(), Sleepless()
    played(world(), Hourly(slow))
    played(world(), fast)
    assert (slow.asked, fast.asked) == (24, 288)
    steps = world((A, B), [[0.4, 0.5], [0.1, 0.5]], ticks=(0.0, 0.5))
    told = Hourly(Sleepless())
    view = type("View", (), {"at": ONDEMAND, "now": 0.0})
    assert told.decide(view).wake == Wake(at=HOUR, below_usd=0.2)
    assert played(steps, told).moves == 0


def test_whoever_runs_on_spot_is_asked_as_it_wants():
    class Awake(Sleepless):
        def decide(self, view):
            return Intention(go=0 if view.at == ONDEMAND else None, wake=Wake(at=inf))

    view = type("View", (), {"at": 0, "now": 0.0})
    assert Hourly(Awake()).decide(view).wake.at == inf
    assert played(world(), Hourly(Awake())).returns == 1
