"""A map that many tests take."""

from __future__ import annotations

import pytest

from made_maps import class_map
from terrapatch.maps import ClassMap


@pytest.fixture
def twelve() -> ClassMap:
    """Return a map of twelve classes in UTM."""
    return class_map(12)
