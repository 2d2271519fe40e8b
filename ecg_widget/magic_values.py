"""What the words on a line of ``%ecg`` stand for: recordings, a network, a device."""

from __future__ import annotations

import difflib
import glob
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from IPython.core.error import UsageError
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.leads import canonical_leads
from ecg_widget.magic_words import Word, value_of
from ecg_widget.networks import load_network
from ecg_widget.records import from_arrays, open_ecg

__all__ = [
    "bundled_networks",
    "device_of",
    "is_network",
    "is_recording",
    "network_of",
    "recordings_of",
    "recordings_of_value",
    "refused",
    "visible",
    "words_of",
]

_WEIGHTS = Path(__file__).parent / "weights"
_EXPECTED = "expected a recording: a Dataset, an array, a path or a list of paths"
_NAMES_COMPARED = 2000  # of a folder, to find the name that was meant


def bundled_networks() -> dict[str, Path]:
    """Networks that come with the package, by name.

    Examples
    --------
    >>> list(bundled_networks())
    ['ptbxl_resnet1d']
    """
    return {path.stem: path for path in sorted(_WEIGHTS.glob("*.safetensors"))}


def _variable(word: str, shell: Any) -> Any:
    """What a bare name stands for in the notebook; None for anything else."""
    bare = isinstance(word, Word) and not word.quoted and word.isidentifier()
    return shell.user_ns.get(word) if bare else None


def recordings_of(words: Sequence[str], options: Any, shell: Any) -> xr.Dataset:
    """Recordings that the words of the line name: one variable, or paths and patterns that are read together."""
    if not words:
        raise refused("expected a recording (a path or a variable), got none; try: %ecg PATH, or %ecg? for all options")
    found: list[Any] = []
    for word in words:
        variable = _variable(word, shell)
        value = value_of(word, shell.user_ns) if variable is None else variable
        if variable is not None and not _is_recording(variable):
            raise refused(f'{word}: {_EXPECTED}, got {_kind(variable)}; quote it to read a file of that name: "{word}"')
        found.append(value)
    if len(found) == 1 and not isinstance(found[0], str):
        return _dataset(found[0], options, words[0])
    paths: list[Any] = []
    for word, value in zip(words, found, strict=True):
        if not isinstance(value, (str, os.PathLike)):
            raise refused(f"{word}: expected paths where there are several recordings, got {_kind(value)}; give one")
        paths += _paths(str(value), shell)
    return _opened(paths, options)


def _paths(text: str, shell: Any) -> list[str]:
    """Files of a path or pattern; what no file, pattern or variable fits is refused with what comes close."""
    path = os.path.expanduser(text)  # noqa: PTH111  (a record of WFDB needs no file of its name)
    folder, name = Path(path).parent, Path(path).name
    if Path(path).exists() or (folder.is_dir() and any(folder.glob(f"{glob.escape(name)}.*"))):
        return [path]
    if found := sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []:  # noqa: PTH207
        return found
    variables = [n for n, v in visible(shell).items() if _is_recording(v)]
    files = list(map(str, itertools.islice(folder.iterdir(), _NAMES_COMPARED))) if folder.is_dir() else []
    close = difflib.get_close_matches(path, [*variables, *files], n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else "; check the path"
    where = "" if folder.is_dir() else f" (there is no folder {folder})"
    raise refused(f"{text}: {_EXPECTED}, got no file, pattern or variable of that name{where}{hint}")


def recordings_of_value(value: Any, options: Any, shell: Any) -> xr.Dataset:
    """Recordings out of what the last line of a cell gave."""
    if value is None or not _is_recording(value):
        raise refused(f"the cell's last line: {_EXPECTED}, got {_kind(value)}; end the cell with it")
    if isinstance(value, (str, os.PathLike)):
        return _opened(_paths(str(value), shell), options)
    return _dataset(value, options, "the cell's last line")


def network_of(word: str | None, shell: Any) -> nn.Module | Activations:
    """The network that a word names; the one that comes with the package for None."""
    if word is None:
        return load_network()
    value = _variable(word, shell)
    value = value_of(word, shell.user_ns) if value is None else value
    if isinstance(value, (nn.Module, Activations)):
        return value
    if isinstance(value, (str, os.PathLike)):
        text = os.path.expanduser(value)  # noqa: PTH111
        named = bundled_networks().get(text)
        if named is not None or text.endswith(".safetensors"):
            return load_network(named or text)
        if ".py:" in text:
            from ecg_widget.commands.train import named_network  # noqa: PLC0415  (seldom)

            return named_network(text)
    variables = [n for n, v in visible(shell).items() if is_network(v)]
    close = difflib.get_close_matches(str(word), [*variables, *bundled_networks()], n=1, cutoff=0.6)
    raise refused(
        "--network: expected a variable with a torch module or activations, "
        f"{' or '.join(bundled_networks())}, a .safetensors file or FILE.py:FUNCTION, got "
        f"{str(word)!r}{'' if isinstance(value, str) else ', a variable of ' + _kind(value)}"
        + (f"; did you mean {close[0]}?" if close else "")
    )


def visible(shell: Any) -> dict[str, Any]:
    """Variables that the user has made."""
    hidden = shell.user_ns_hidden
    return {name: v for name, v in shell.user_ns.items() if not name.startswith("_") and name not in hidden}


def is_network(value: Any) -> bool:
    """Whether ``--network`` takes a variable with this value."""
    return isinstance(value, (nn.Module, Activations))


def _is_recording(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(part, (str, os.PathLike)) for part in value)
    return isinstance(value, (xr.Dataset, xr.DataArray, np.ndarray, torch.Tensor, str, os.PathLike))


def is_recording(value: Any) -> bool:
    """Whether a variable with this value is worth offering as a recording: not every text is a path."""
    return _is_recording(value) and not isinstance(value, str)


def _dataset(value: Any, options: Any, name: str) -> xr.Dataset:
    """Recordings out of what a variable holds."""
    if isinstance(value, (str, os.PathLike, list, tuple)) and _is_recording(value):
        return _opened([value] if isinstance(value, (str, os.PathLike)) else list(value), options)
    if isinstance(value, (np.ndarray, torch.Tensor)):
        stated = {"--sampling-rate": options.sampling_rate, "--leads": options.leads, "--units": options.units}
        if missing := [option for option, given in stated.items() if given is None]:
            raise refused(f"{name}: expected {', '.join(missing)} with an array, which does not state it, got none")
        values = value.numpy(force=True) if isinstance(value, torch.Tensor) else value
        return from_arrays(
            values, sampling_rate=options.sampling_rate, leads=words_of([options.leads]), units=options.units
        )
    if not isinstance(value, (xr.Dataset, xr.DataArray)):
        raise refused(f"{name}: {_EXPECTED}, got {_kind(value)}")
    if options.units or options.sampling_rate:
        raise refused(
            f"--units, --sampling-rate: expected with a file or an array, got a {_kind(value)}, which states both"
        )
    ds = value if isinstance(value, xr.Dataset) else value.to_dataset(name="signal")
    if options.leads is None:
        return ds
    wanted = canonical_leads(words_of([options.leads]))
    there = ds["lead"].values.astype(str).tolist() if "lead" in ds.coords else []
    if absent := [lead for lead in wanted if lead not in there]:
        raise refused(f"--leads: expected some of {', '.join(there)}, got {', '.join(absent)}")
    return ds.sel(lead=wanted)


def _opened(paths: list[Any], options: Any) -> xr.Dataset:
    stated: Mapping[str, Any] = {
        "leads": words_of([options.leads]) if options.leads else None,
        "units": options.units,
        "sampling_rate": options.sampling_rate,
    }
    source = paths[0] if len(paths) == 1 else paths
    return open_ecg(source, **{name: value for name, value in stated.items() if value is not None})


def words_of(texts: Sequence[str]) -> list[str]:
    """What is parted by commas."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def device_of(text: str) -> torch.device:
    """A device on which something can be put; what torch says of others fills a screen."""
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        able = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        raise ValueError(f"--device: expected one of {', '.join(able)} on this machine, got {text!r}") from error
    return device


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def refused(text: str) -> UsageError:
    """What is wrong in one line, which IPython shows without a traceback."""
    return UsageError(f"%ecg: {' '.join(text.replace('n_clusters:', '--clusters:').split())}")
