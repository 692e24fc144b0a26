"""Scenes for the wire."""

import pytest

from tests.wire.scene import served


@pytest.fixture
def scene():
    with served() as scene:
        yield scene
