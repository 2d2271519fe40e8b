"""See an ECG as a neural network sees it."""

__version__ = "0.1.0"
