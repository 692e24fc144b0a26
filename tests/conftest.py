"""How hypothesis draws: the same examples every time in CI, new ones at a desk; never by the clock."""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("house")
