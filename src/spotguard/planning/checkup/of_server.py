"""Rules about this server and its database."""

from __future__ import annotations

from spotguard.domain.agents import KillLevel
from spotguard.planning.checkup.facts import Facts
from spotguard.planning.findings import Rule, Unseen, Verdict, care, fine, seen, stop

MIB = 1024 * 1024
LITTLE_BYTES, TOO_LITTLE_BYTES = 1024 * MIB, 100 * MIB
SKEW_SECONDS, GREAT_SKEW_SECONDS = 1.0, 5.0  # a lease lasts 30 s, a heartbeat is late after 120 s
AWS_SKEW_SECONDS, AWS_GREAT_SKEW_SECONDS = 30.0, 240.0  # a signature is good for five minutes (SigV4)
_MOST_SHOWN = 5


def the_database_answers(facts: Facts) -> Verdict:
    """Nothing works without it."""
    if isinstance(facts.database, Unseen):
        return stop(
            f"it does not answer: {facts.database.because}",
            "start it, make a new one (spotguard db upgrade), or mend --database-url, else SPOTGUARD_DATABASE_URL",
        )
    return fine(f"{facts.database.kind} answers")


def its_schema_is_the_newest(facts: Facts) -> Verdict:
    """As `spotguard db check`."""
    differences = seen(facts.database).schema_differences
    if differences:
        return stop(shortened(differences), "spotguard db upgrade; if it still differs, somebody changed it")
    return fine("the schema is this version's")


def its_counters_equal_its_rows(facts: Facts) -> Verdict:
    """As `spotguard db check`."""
    database = seen(facts.database)
    if database.schema_differences:
        seen(Unseen("the schema differs"))
    if database.miscounts:
        return stop(
            shortened(database.miscounts),
            "stop the servers, keep a copy of the database and tell SpotGuard's makers: this cannot happen by itself",
        )
    return fine("counters equal rows")


def its_cluster_has_a_quorum(facts: Facts) -> Verdict:
    """Without one a node still answers questions and takes nothing."""
    cluster = seen(facts.database).cluster
    if cluster is None:
        return fine("not a cluster")
    if not cluster.ready:
        return stop(
            "this node is not part of a quorum (wsrep_ready is not ON)",
            "use another node, and bring this one back",
        )
    if cluster.size < 3:  # noqa: PLR2004 - two cannot outvote one
        return care(f"{cluster.size} nodes: losing one stops all writing", "run three or more, an odd number")
    return fine(f"{cluster.size} nodes, and this one is ready")


def its_disk_has_room(facts: Facts) -> Verdict:
    """Of the embedded database."""
    space = seen(seen(facts.database).space)
    told = f"{space.free_bytes // MIB} MiB free, the database has {space.file_bytes // MIB} MiB"
    if space.free_bytes < TOO_LITTLE_BYTES:
        return stop(told, "make room now: a full disk stops every write")
    if space.free_bytes < max(LITTLE_BYTES, space.file_bytes):
        return care(told, "make room: a copy of the database would not fit, and its log grows beside it")
    return fine(told)


def its_clock_is_this_machines(facts: Facts) -> Verdict:
    """Servers go by the database's time; commands that are typed here, and what AWS is asked, by this machine's."""
    return _clocks("the database", seen(facts.database).ahead_seconds, SKEW_SECONDS, GREAT_SKEW_SECONDS)


def awss_clock_is_this_machines(facts: Facts) -> Verdict:
    """A signature from a clock that is minutes off is refused."""
    accounts = seen(facts.accounts)
    if not accounts:
        seen(Unseen("no client has an account"))
    skews = [seen(account.ahead_seconds) for account in accounts]
    worst = max(skews, key=abs)
    return _clocks("AWS", worst, AWS_SKEW_SECONDS, AWS_GREAT_SKEW_SECONDS)


def _clocks(whose: str, ahead: float, some: float, great: float) -> Verdict:
    told = (
        f"the clock of {whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    )
    mend = "let both follow a time server (chrony; on EC2 169.254.169.123)"
    if abs(ahead) > great:
        return stop(told, mend)
    if abs(ahead) > some:
        return care(told, mend)
    return fine(told)


def agents_can_reach_this_server(facts: Facts) -> Verdict:
    """Launched instances are told `public_url`."""
    if facts.public_url is None:
        return care(
            "public_url is not set in this shell, and no server has named its own yet: launched instances would be "
            "told an address that only its machine has",
            "set SPOTGUARD_PUBLIC_URL to the address of the TLS proxy before this server",
        )
    told = facts.public_url.text
    if facts.public_url.loopback:
        return stop(
            f"public_url is {told}: on another machine that is that machine itself",
            "set SPOTGUARD_PUBLIC_URL to an address that other machines have for this server",
        )
    if not facts.public_url.encrypted:
        return care(
            f"public_url is {told}: tokens travel unencrypted",
            "put a TLS proxy before this server and name its address",
        )
    return fine(f"launched instances are told {told}")


def a_coordinator_is_alive(facts: Facts) -> Verdict:
    """It holds a lease of 30 s."""
    fleet = seen(facts.fleet)
    if not fleet.coordinators_alive:
        gone = f"; gone: {', '.join(fleet.coordinators_gone)}" if fleet.coordinators_gone else ""
        return stop(
            f"no coordinator is alive{gone}",
            "start spotguard server, or spotguard coordinator on this database",
        )
    return fine(f"alive: {', '.join(fleet.coordinators_alive)}")


def no_kill_switch_is_turned(facts: Facts) -> Verdict:
    """It holds back voluntary moves and new standbys, or everything."""
    switches = seen(facts.fleet).switches
    told = "; ".join(f"{one.whose}: {one.level.name.lower()} ({one.reason})" for one in switches)
    mend = "spotguard kill-switch none, with the --client or --agent that is named, when that is over"
    if any(one.level is KillLevel.ALL for one in switches):
        return stop(f"{told}. Emergencies are stopped too", mend)
    if switches:
        return care(told, mend)
    return fine("nothing is stopped")


def shortened(sentences: tuple[str, ...]) -> str:
    more = f", and {len(sentences) - _MOST_SHOWN} more" if len(sentences) > _MOST_SHOWN else ""
    return "; ".join(sentences[:_MOST_SHOWN]) + more


RULES: tuple[Rule[Facts], ...] = (
    Rule(the_database_answers, "docs/production.md"),
    Rule(its_schema_is_the_newest, "spotguard db check"),
    Rule(its_counters_equal_its_rows, "spotguard db check"),
    Rule(its_cluster_has_a_quorum, "Galera, wsrep_ready"),
    Rule(its_disk_has_room, "docs/production.md"),
    Rule(its_clock_is_this_machines, "docs/enrolment.md"),
    Rule(awss_clock_is_this_machines, "SigV4"),
    Rule(agents_can_reach_this_server, "docs/settings.md"),
    Rule(a_coordinator_is_alive, "docs/production.md"),
    Rule(no_kill_switch_is_turned, "docs/production.md"),
)
