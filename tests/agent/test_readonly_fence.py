"""An agent whose disk takes nothing is told that another holds the next epoch: its gate closes all the same."""

import pytest

from tests.agent.stage import Stage
from tests.agent.test_readonly_disk import ReadOnlyHost


@pytest.mark.parametrize("new_config", [False, True])
def test_one_that_is_fenced_on_a_readonly_disk_closes(new_config):
    stage = Stage()
    old = stage.primary()
    readonly = ReadOnlyHost(old)
    stage.run(70)
    readonly.disk.refuses = True
    stage.server.holder, stage.server.epoch, stage.server.passive_epoch = "i-0aaaaaaaaaaaaaaaa", 2, 2
    stage.server.config_version += new_config
    stage.run(600)
    assert stage.register.serving() == []
