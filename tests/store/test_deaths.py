"""What EC2 has said of an instance's end is one rule, whether a row is read or a statement asks for it."""

from itertools import product

import sqlalchemy as sa

from spotguard.domain.instances import InstanceState, Mode
from spotguard.store import deaths
from spotguard.store import tables as t
from tests.store import rows
from tests.store.rows import NOW, OLD, add


def test_every_state_is_judged_alike_by_the_row_and_in_a_statement(database):
    client_id = rows.client(database)
    add(database, t.instances, **rows.instance(client_id))
    proven = sa.select(t.instances.c.id).where(deaths.is_proven())
    unproven = sa.select(t.instances.c.id).where(sa.not_(deaths.is_proven()))

    for state, mode, hibernates in product([None, *InstanceState], [None, *Mode], [None, False, True]):
        shown = {"ec2_state": state, "current_mode": mode, "hibernates": hibernates, "updated_at": NOW}
        database.write(lambda tx, shown=shown: tx.execute(sa.update(t.instances).values(**shown)))
        is_dead = database.read(lambda tx: deaths.is_dead(tx, OLD))
        found = database.read(lambda tx: (tx.scalars(proven).all(), tx.scalars(unproven).all()))
        assert found == (([OLD], []) if is_dead else ([], [OLD])), (state, mode, hibernates)
