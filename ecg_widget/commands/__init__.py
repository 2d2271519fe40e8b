"""Subcommands of ``ecg-widget``, one a file; see `ecg_widget.cli`."""
