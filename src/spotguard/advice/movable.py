"""Which instances of an account could move at all, by what EC2 shows of them: the rest is skipped with its reason.

The rules of the eligibility report that say stop, and a few that only a look from outside needs.
"""

from __future__ import annotations

from dataclasses import replace

from spotguard.domain.instances import Mode
from spotguard.domain.pools import LINUX
from spotguard.domain.tags import MANAGED_TAG
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.eligibility import of_instance
from spotguard.planning.eligibility.facts import Facts, Instance, Machine, nothing_seen
from spotguard.planning.eligibility.of_account import its_type_is_sold_as_spot
from spotguard.planning.findings import Grade, Rule, Unseen, Verdict, examine, fine, seen, stop

_OUTSIDE = Unseen("only the machine itself shows it")


def it_runs_on_demand(facts: Facts) -> Verdict:
    instance = seen(facts.instance)
    if MANAGED_TAG in instance.tags:
        return stop("SpotGuard has launched it: it is looked after already", "")
    if instance.mode is Mode.SPOT:
        return stop("it runs on spot already", "")
    return fine("on demand")


def it_is_no_bare_metal(facts: Facts) -> Verdict:
    if seen(facts.surroundings.type_facts).bare_metal:
        return stop("it is a bare-metal machine: it boots for longer than any notice lasts", "")
    return fine("virtual")


def its_type_has_no_instance_store(facts: Facts) -> Verdict:
    if seen(facts.surroundings.type_facts).instance_store:
        return stop(
            "its type has an instance store, whose data end with every move; whether any lie there only the machine "
            "shows (spotguard agent install --report-only)",
            "",
        )
    return fine("none")


def no_licence_and_no_reservation_holds_it(facts: Facts) -> Verdict:
    instance = seen(facts.instance)
    held = [
        *(f"licence configuration {name}" for name in instance.licences),
        *([f"capacity reservation {instance.reservation}"] if instance.reservation else ()),
        *([f"{instance.tenancy} tenancy"] if instance.tenancy != "default" else ()),
    ]
    return stop(f"it is bound to {', '.join(held)}", "") if held else fine("nothing binds it")


def its_price_is_that_of_linux(facts: Facts) -> Verdict:
    platform = seen(facts.instance).platform
    if platform == LINUX:
        return fine(platform)
    return stop(f"it runs {platform}: only prices of {LINUX} are compared", "")


RULES: tuple[Rule[Facts], ...] = (
    Rule(it_runs_on_demand, "docs/advise.md"),
    Rule(it_is_no_bare_metal, "docs/advise.md"),
    Rule(its_type_has_no_instance_store, "docs/advise.md"),
    Rule(no_licence_and_no_reservation_holds_it, "docs/enrolment.md"),
    Rule(its_type_is_sold_as_spot, "DescribeInstanceTypes"),
    *of_instance.RULES,
    Rule(its_price_is_that_of_linux, "docs/advise.md"),
)


def why_not(instance: Instance, type_facts: TypeFacts | Unseen) -> str | None:
    """The first reason against moving it; None: nothing that EC2 shows is in the way. The unseen is not judged."""
    outside = replace(nothing_seen("not asked"), type_facts=type_facts)
    machine = Machine(instance.architecture, _OUTSIDE, _OUTSIDE, _OUTSIDE, _OUTSIDE, _OUTSIDE)
    found = examine(RULES, Facts(machine, instance, outside))
    return next((finding.because for finding in found if finding.grade is Grade.STOP), None)
