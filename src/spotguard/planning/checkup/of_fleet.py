"""Rules about the agents and about the clients' accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from spotguard.domain.agents import OFFLINE_AFTER_SECONDS
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.planning.checkup.facts import AccountFacts, Facts, Owned, Standby, Watched
from spotguard.planning.checkup.of_server import shortened
from spotguard.planning.findings import Rule, Unseen, Verdict, care, fine, seen, stop
from spotguard.planning.spans import about

LAG_SECONDS, GREAT_LAG_SECONDS = 60.0, 600.0  # an agent calls a standby out of sync after a minute
FULL = 0.8  # of a quota


def every_agent_is_heard(facts: Facts) -> Verdict:
    """120 s without a heartbeat of the serving instance."""
    silent = tuple(
        f"{_who(agent)} {_since(agent)}"
        for agent in seen(facts.fleet).agents
        if agent.silent_seconds is None or agent.silent_seconds > OFFLINE_AFTER_SECONDS
    )
    if silent:
        return stop(
            f"silent: {shortened(silent)}",
            "look at the machine and its spotguard-agent unit; silence alone moves nothing",
        )
    disabled = seen(facts.fleet).disabled
    unwatched = f"; disabled, and not looked at by any rule: {shortened(disabled)}" if disabled else ""
    return fine(f"{_count(facts)} heard within {OFFLINE_AFTER_SECONDS} s{unwatched}")


def _since(agent: Watched) -> str:
    return "never heard" if agent.silent_seconds is None else f"for {_about(agent.silent_seconds)}"


def every_agent_serves(facts: Facts) -> Verdict:
    """A gate that is closed outside a move: the workload does not run."""
    closed = _told(a for a in seen(facts.fleet).agents if a.gate_open is False and not a.switching)
    if closed:
        return stop(
            f"the gate is closed and no move is under way: {closed}",
            "its page says whether a person has to act; else look at its unit (systemctl status) and its agent's log",
        )
    untold = _told(a for a in seen(facts.fleet).agents if a.gate_open is None and not a.switching)
    if untold:
        seen(Unseen(f"has not told its gate: {untold}"))
    return fine(f"{_count(facts)} with open gates, or in a move")


def no_serving_instance_hibernates(facts: Facts) -> Verdict:
    """Stopped it proves no death, since it may wake and serve on; and no image of it is usable."""
    asleep = _told(a for a in seen(facts.fleet).agents if a.hibernates)
    if asleep:
        return care(
            f"hibernation is configured: {asleep}; nobody takes over from one that is stopped until it is terminated",
            "move it: what SpotGuard launches does not hibernate",
        )
    return fine("no instance that serves hibernates, as far as EC2 has shown them")


def every_clone_has_what_it_boots(facts: Facts) -> Verdict:
    """Launched from an image without the agent nothing ever enrols."""
    bare = _told(a for a in seen(facts.fleet).agents if not a.has_image)
    if bare:
        return care(
            f"nothing shows that a clone would come up: {bare}; there is no complete image of ours, and nothing that "
            "we launched from its own has enrolled, which holds no agent if that was installed on a running machine",
            "spotguard configure AGENT restorePointHours=24, and a restore drill when the first is complete",
        )
    return fine(f"{_count(facts)} with an image of ours, or one that has enrolled")


def no_state_hangs_on_one_root_disk(facts: Facts) -> Verdict:
    """No volume brings back a state on the disk that its instance boots from: after a death nothing starts."""
    alone = _told(
        a
        for a in seen(facts.fleet).agents
        if a.state_on_root and not a.is_imaged and all(s.lag_seconds is None for s in a.standbys)
    )
    if alone:
        return care(
            f"the state lies on the root disk, and neither a standby nor an image has it: {alone}; after a death its "
            "workload stays down until a person brings it back",
            "set restorePointHours or manualReplicaEnabled, or lay the state on a volume of its own",
        )
    return fine("no state lies on a root disk alone, as far as agents have told")


def every_agent_has_this_version(facts: Facts) -> Verdict:
    """Both sides of the wire are released together."""
    others = tuple(
        f"{_who(agent)} ({agent.version or 'unknown'})"
        for agent in seen(facts.fleet).agents
        if agent.version != facts.version
    )
    if others:
        return care(f"this is {facts.version}: {shortened(others)}", "bring them to this version")
    return fine(f"{_count(facts)} of {facts.version}")


def every_standby_is_fresh(facts: Facts) -> Verdict:
    """What an unheard death could lose: the age of its newest complete pass."""
    late = [(a, s) for a, s in _standbys(facts) if s.lag_seconds is None or s.lag_seconds > LAG_SECONDS]
    told = shortened(tuple(f"{_who(a)}: {_lag(s)}" for a, s in late))
    mend = "look at the link between primary and standby, and at its sync_latency_ms"
    if any(s.lag_seconds is not None and s.lag_seconds > GREAT_LAG_SECONDS for _, s in late):
        return stop(told, mend)
    if late:
        return care(told, mend)
    return fine(f"{_standby_count(facts)}, none older than {LAG_SECONDS:.0f} s")


def _lag(standby: Standby) -> str:
    if standby.lag_seconds is None:
        return f"a standby ({standby.status}) has no complete pass yet"
    return f"a standby's state is {_about(standby.lag_seconds)} old"


def every_standby_is_elsewhere(facts: Facts) -> Verdict:
    """Interruptions of a pool come together; a zone may fail as a whole."""
    same_pool = [(a, s) for a, s in _standbys(facts) if s.pool_id is not None and s.pool_id == a.pool_id]
    if same_pool:
        return stop(
            f"in the pool of its primary: {shortened(tuple(_who(a) for a, _ in same_pool))}",
            "turn the standby off and on again: it is made in another pool",
        )
    same_zone = [(a, s) for a, s in _standbys(facts) if s.az is not None and s.az == a.az]
    if same_zone:
        return care(
            f"in the zone of its primary: {shortened(tuple(_who(a) for a, _ in same_zone))}",
            "allow more zones for it, and types that have capacity there, and let its VPC have a subnet there",
        )
    return fine(f"{_standby_count(facts)}, none in the zone of its primary")


def every_allowed_type_is_known(facts: Facts) -> Verdict:
    """A type of which no price and nothing else is known is never chosen; a mistyped name is one."""
    strange = tuple(
        f"{_who(agent)}: {', '.join(agent.unknown_types)}"
        for agent in seen(facts.fleet).agents
        if agent.unknown_types
    )
    if strange:
        return care(
            f"neither a price nor anything else is known of {shortened(strange)}",
            "look whether its region has a type of this name; one that was allowed within the hour may still come",
        )
    return fine("of every allowed type something is known")


def every_client_that_needs_an_account_has_one(facts: Facts) -> Verdict:
    """The server makes the moves of these clients."""
    missing = seen(facts.fleet).without_account
    if missing:
        return stop(
            f"the server is to call EC2 and knows no account: {shortened(missing)}",
            "spotguard client account NAME --region R [--role-arn ARN]",
        )
    return fine("every client whose moves the server makes has an account")


def every_account_lets_us_in(facts: Facts) -> Verdict:
    """`sts:GetCallerIdentity`."""
    accounts = seen(facts.accounts)
    bare = tuple(account.client for account in accounts if not account.has_credentials)
    if bare:
        return stop(
            f"no AWS credentials were found here, nothing was asked for: {shortened(bare)}",
            "give the server credentials (environment, profile or instance role: boto3's chain); run this with them",
        )
    locked = [account for account in accounts if isinstance(account.identity, Unseen)]
    if locked:
        told = tuple(f"{account.client} ({_because(account.identity)})" for account in locked)
        return stop(f"no way in: {shortened(told)}", _way_in(locked))
    return fine(f"{len(accounts)} accounts, each with an identity")


def _because(looked: object) -> str:
    return looked.because if isinstance(looked, Unseen) else ""


def _way_in(locked: Sequence[AccountFacts]) -> str:
    """Who signs: the role that is taken, or without one whoever the server itself is."""
    role = "look at the role's trust policy and its external id (spotguard client account NAME)"
    own = "look at the server's own credentials, and whether it reaches AWS: no role is set"
    ways = {role if account.has_role else own: None for account in locked}
    return "; ".join(ways)


def every_call_of_a_move_is_permitted(facts: Facts) -> Verdict:
    """Dry runs, for clients whose moves the server makes as for those it only looks at."""
    accounts = seen(facts.accounts)
    denied = tuple(
        f"{account.client}: {', '.join(calls)}" for account in accounts if (calls := _denied(account))
    )
    if denied:
        return stop(
            f"EC2 would refuse: {shortened(denied)}",
            "attach what spotguard iam policy operate prints (docs/permissions.md); agent, where agents execute",
        )
    return fine(f"{len(accounts)} accounts would allow every call that a dry run can ask for")


def _denied(account: AccountFacts) -> list[str]:
    permissions = seen(account.permissions)
    if unclear := [one.action for one in permissions if one.allowed is None]:
        seen(account.identity)  # without one nothing else was answered either
        seen(Unseen(f"{account.client}: EC2 answered the dry run of {', '.join(unclear)} otherwise"))
    owners = any(isinstance(one, Unseen) or not one.handed_over for one in account.owned)
    denied = [one for one in permissions if one.allowed is False]
    return [one.action for one in denied if not (one.on_instance and owners)]


def every_instance_is_handed_over(facts: Facts) -> Verdict:
    """SpotGuard ends what it has made, and what its owner has tagged for its agent."""
    owned = [seen(one) for account in seen(facts.accounts) for one in account.owned]
    kept = [one for one in owned if not one.handed_over]
    if kept:
        return care(
            f"not tagged for its agent: {shortened(tuple(one.resources[0] for one in kept))}; after a move it is left "
            "running, and both are billed",
            "; ".join(map(_tagging, kept[:3])),
        )
    return fine(f"{len(owned)} serving instances of their owners, each tagged for its agent")


def _tagging(one: Owned) -> str:
    what = " ".join(one.resources)
    return f"aws ec2 create-tags --resources {what} --tags Key={ADOPTED_TAG},Value={one.agent_id}"


def every_quota_has_room(facts: Facts) -> Verdict:
    """In vCPUs, spot and on demand apart."""
    found = [(account, seen(quota)) for account in seen(facts.accounts) for quota in account.quotas]
    near = [(account, quota) for account, quota in found if quota.used >= FULL * quota.limit]
    told = shortened(tuple(f"{a.client}: {q.name}, {q.used} of {q.limit} vCPUs" for a, q in near))
    mend = "ask for more in Service Quotas; it may take days"
    if any(quota.free <= 0 for _, quota in near):
        return stop(told, mend)
    if near:
        return care(told, mend)
    return fine(f"{len(found)} quotas, none over {FULL:.0%}")


def the_spot_service_has_its_role(facts: Facts) -> Verdict:
    """EC2 makes it with the first spot launch, if that may make it."""
    accounts = seen(facts.accounts)
    missing = tuple(account.client for account in accounts if seen(account.spot_role) is False)
    if missing:
        return care(
            f"there is no AWSServiceRoleForEC2Spot for {shortened(missing)}: the first spot launch is refused unless "
            "its caller may make it",
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        )
    return fine(f"{len(accounts)} accounts with AWSServiceRoleForEC2Spot")


def _standbys(facts: Facts) -> list[tuple[Watched, Standby]]:
    return [(agent, standby) for agent in seen(facts.fleet).agents for standby in agent.standbys]


def _told(agents: Iterable[Watched]) -> str:
    return shortened(tuple(map(_who, agents)))


def _who(agent: Watched) -> str:
    return f"{agent.client}/{agent.name}"


def _count(facts: Facts) -> str:
    return _counted(len(seen(facts.fleet).agents), "agent")


def _standby_count(facts: Facts) -> str:
    return _counted(len(_standbys(facts)), "standby")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _about(seconds: float) -> str:
    return about(timedelta(seconds=seconds))


RULES: tuple[Rule[Facts], ...] = (
    Rule(every_agent_is_heard, "docs/primacy.md"),
    Rule(every_agent_serves, "docs/primacy.md"),
    Rule(every_clone_has_what_it_boots, "docs/enrolment.md"),
    Rule(no_serving_instance_hibernates, "docs/primacy.md"),
    Rule(no_state_hangs_on_one_root_disk, "docs/state-sync.md"),
    Rule(every_agent_has_this_version, "docs/enrolment.md"),
    Rule(every_standby_is_fresh, "docs/standby.md"),
    Rule(every_standby_is_elsewhere, "docs/standby.md"),
    Rule(every_allowed_type_is_known, "docs/configuration.md"),
    Rule(every_client_that_needs_an_account_has_one, "docs/production.md"),
    Rule(every_account_lets_us_in, "docs/enrolment.md"),
    Rule(every_call_of_a_move_is_permitted, "docs/enrolment.md"),
    Rule(every_instance_is_handed_over, "docs/enrolment.md"),
    Rule(every_quota_has_room, "docs/enrolment.md"),
    Rule(the_spot_service_has_its_role, "docs/enrolment.md"),
)
