from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings beside the project; a machine without them skips, saying so."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no recordings in ../shared/data")
    return SHARED_DATA.resolve()
