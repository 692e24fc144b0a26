"""What a coordinator looks at before it does nothing is all watched by what leaves its passes out."""

import sqlalchemy as sa
from sqlalchemy.sql.util import find_tables

from spotguard.coordinator import agenda
from spotguard.simulation.stillness import WATCHED


def test_every_table_of_the_agenda_is_watched():
    found = find_tables(
        agenda._AGENDA._statement, check_columns=True, include_joins=True, include_selects=True
    )
    read = {table for table in found if isinstance(table, sa.Table)}
    assert {"agents", "switches", "storage_resources"} <= {table.name for table in read}
    assert read <= set(WATCHED)


def test_only_columns_that_exist_are_excepted():
    for table, silent in WATCHED.items():
        assert silent <= {column.name for column in table.columns}
