from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHARED_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings beside the project; a machine without them skips, saying so."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no recordings in ../shared/data")
    return SHARED_DATA.resolve()


@pytest.fixture
def digital():
    rng = np.random.default_rng(3)
    return rng.integers(-1500, 1500, (800, 3), dtype=np.int64)


@pytest.fixture
def record(tmp_path, digital):
    """A folder with the record `r`, written by the wfdb library; call it with changes for the writer."""

    import wfdb

    def write(name="r", folder=tmp_path, samples=digital, **changes):
        n = samples.shape[1]
        fields = {
            "fs": 250,
            "units": ["mV", "uV", "V"][:n],
            "sig_name": ["ii", "V5", "DI"][:n],
            "adc_gain": [200.0, 0.4, 150000.0][:n],
            "baseline": [10, -4, 0][:n],
            "fmt": ["16"] * n,
            **changes,
        }
        wfdb.wrsamp(name, d_signal=samples, write_dir=str(folder), **fields)
        return folder / name

    return write


@pytest.fixture(scope="session")
def browser():
    """The one Chromium of a test run."""
    from browser.lab import chromium_browser

    with chromium_browser() as chromium:
        yield chromium
