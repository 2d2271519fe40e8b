"""What a header may ask for: checked before memory is taken or a sample is read."""

from __future__ import annotations

from ecg_widget.records import RecordError

LARGEST_FILE = 4 << 30  # bytes; a 24-hour 12-lead Holter at 1 kHz has 2 GB
LARGEST_HEADER = 1 << 20  # bytes of text; PTB's longest has 3 kB
MOST_CHANNELS = 1024  # body-surface maps have up to 256
MOST_VALUES = 1 << 30  # samples times channels: 8 GB while they are converted
LAZY_VALUES = 16_000_000  # samples of all leads; more stay in their file: reading takes 20 bytes each and over a second
RATES = (1.0, 100_000.0)  # Hz; trend data are no ECG, and no ECG amplifier samples faster
STEPS = (1e-9, 1e6)  # mV of one step of the converter: below all noise, and more than any body gives


def check_header(file: str, *, n_channels: int, n_samples: int, rate: float) -> None:
    """Refuse absurd sizes and rates, naming file and field."""
    if not 1 <= n_channels <= MOST_CHANNELS:
        raise RecordError(f"{file}: number of channels: expected 1 to {MOST_CHANNELS}, got {n_channels}")
    if not RATES[0] <= rate <= RATES[1]:
        raise RecordError(f"{file}: sampling rate: expected {RATES[0]:g} to {RATES[1]:g} Hz, got {rate:g}")
    if n_samples < 1:
        raise RecordError(f"{file}: number of samples: expected at least 1, got {n_samples}")
    if n_samples * n_channels > MOST_VALUES:
        raise RecordError(
            f"{file}: size: expected at most {MOST_VALUES} values, got {n_samples} samples of {n_channels} channels"
        )


def check_step(where: str, step: float) -> None:
    """Refuse a step of the converter, in mV, that no converter has: its multiples may be no numbers at all."""
    if not STEPS[0] <= abs(step) <= STEPS[1]:
        raise RecordError(f"{where}: expected a step of {STEPS[0]:g} to {STEPS[1]:g} mV, got {step:g} mV")
