"""docs/configuration.md tells every member of a configuration: its default, what it takes in the API's own words; and
the agent's page has a field for each.
"""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from spotguard.api.wording import sentence_of
from spotguard.domain.agents import Autonomy, GuardRails
from spotguard.store.tables import agents
from spotguard.wire.client_configuration import ConfigurationChange

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (?:`(.*?)`|–) \| (.*?) \| (.*) \|$", re.MULTILINE)
ROWS = {
    name: (default, takes)
    for name, default, takes, _ in ROW.findall((ROOT / "docs/configuration.md").read_text())
}
MEMBERS = [field.alias for field in ConfigurationChange.model_fields.values()]
PAGE = "\n".join(file.read_text() for file in (ROOT / "web/src/parts/agent").glob("*.tsx"))


def test_every_member_is_documented():
    assert sorted(ROWS) == sorted(MEMBERS)


@pytest.mark.parametrize("member", MEMBERS)
def test_what_it_takes_is_what_a_refusal_says(member):
    with pytest.raises(ValidationError) as caught:
        ConfigurationChange.model_validate({member: "?"})
    assert ROWS[member][1] == sentence_of(caught.value.errors()[0]).removeprefix("takes ")


@pytest.mark.parametrize("member", [one for one in MEMBERS if one != "terminateWaitMinutes"])
def test_its_default_is_that_of_a_new_agent(member):
    told, column = ROWS[member][0], agents.c[to_snake(member)]
    if member == "autonomy":
        assert told == Autonomy.OBSERVE == column.default.arg
    elif member in ("allowedInstanceTypes", "allowedAzs", "riskThreshold"):
        rails = GuardRails()
        assert Decimal(told) == rails.risk_threshold if member == "riskThreshold" else told == "[]"
    else:
        assert json.loads(told) == (None if column.default is None else column.default.arg)


@pytest.mark.parametrize("member", [one for one in MEMBERS if one != "terminateWaitMinutes"])
def test_the_agents_page_has_a_field_for_it(member):
    assert re.search(rf"\b{member}\b", PAGE)
