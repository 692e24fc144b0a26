"""One scene for each story."""

import pytest

from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene()
    yield stage
    stage.close()
