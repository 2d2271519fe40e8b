"""Weights on disk: safetensors, numbers only, never code.

The file's metadata has one entry ``ecg_widget``: JSON with ``format``, ``architecture``, ``config``, ``spec``,
``targets``, ``output``, ``name`` and ``provenance``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ecg_widget.architectures import build
from ecg_widget.preparation import InputSpec

__all__ = ["read_weights", "write_weights"]

_FORMAT = 1
_LARGEST_FILE = 2**30  # bytes; networks for ECGs have some ten million weights
_CODE = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # how zip files and pickles begin
_KINDS = {
    "architecture": str,
    "config": dict,
    "spec": dict,
    "targets": list,
    "output": str,
    "name": str,
    "provenance": dict,
}


def write_weights(path: str | Path, state: Mapping[str, Tensor], about: Mapping[str, Any], *, half: bool) -> None:
    """Write a weights file, whole or not at all.

    Parameters
    ----------
    path
        Of the file.
    state
        A module's ``state_dict()``.
    about
        The metadata without ``format``.
    half
        Store tensors with two or more dims in float16.

    Raises
    ------
    ValueError
        A weight that is not finite, or is not in float16's range.
    """
    from safetensors.torch import save  # noqa: PLC0415  (networks run without it)

    tensors = {}
    for key, value in state.items():
        kept = value.to(torch.float16) if half and value.is_floating_point() and value.ndim > 1 else value
        _check_finite(key, kept)
        tensors[key] = kept.detach().cpu().contiguous()
    partial = Path(f"{path}.partial")
    partial.write_bytes(save(tensors, {"ecg_widget": json.dumps({"format": _FORMAT, **about})}))
    partial.replace(path)


def read_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a weights file.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    module : torch.nn.Module
        Built and filled, float32.
    about : dict
        The metadata, ``spec`` as `InputSpec`.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Anything else that is wrong; names the file, what was expected and what came.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  (networks run without it)

    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a weights file, found none")
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{path.name}: expected at most {_LARGEST_FILE} bytes, got {path.stat().st_size}")
    with path.open("rb") as stream:
        if stream.read(2) in _CODE:
            raise ValueError(
                f"{path.name}: expected safetensors, got a pickle or zip file (.pt, .pth, .pt2), which may run code; "
                "load it into your own module with torch.load(path, weights_only=True) and wrap that: "
                "ECGNetwork(module, spec=InputSpec(...), targets=[...])"
            )
    try:
        with safe_open(path, "pt") as tensors:
            about = _metadata(tensors.metadata())
            about["spec"] = InputSpec(**about["spec"])
            with torch.device("meta"):  # so that shapes are compared before anything is allocated
                module = build(about["architecture"], about["config"])
            wanted = module.state_dict()
            _check_shapes(
                {key: list(value.shape) for key, value in wanted.items()},
                {key: list(tensors.get_slice(key).get_shape()) for key in tensors.keys()},  # noqa: SIM118
            )
            state = {key: tensors.get_tensor(key) for key in wanted}
        for key, value in state.items():
            _check_finite(key, value)
            state[key] = value.to(wanted[key].dtype)
        module.load_state_dict(state, assign=True)
    except (SafetensorError, ValueError, TypeError) as error:
        raise ValueError(f"{path.name}: not a weights file of ecg_widget: {error}") from error
    return module, about


def _check_shapes(expected: Mapping[str, list[int]], got: Mapping[str, list[int]]) -> None:
    if expected != got:
        key = min(k for k in expected.keys() | got.keys() if expected.get(k) != got.get(k))
        raise ValueError(
            f"{key}: expected {expected.get(key, 'no such weights')}, got {got.get(key, 'no such weights')}"
        )


def _check_finite(key: str, value: Tensor) -> None:
    if not torch.isfinite(value).all():
        raise ValueError(f"{key}: expected finite weights in the range of {value.dtype}, got inf or NaN")


def _metadata(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or "ecg_widget" not in metadata:
        raise ValueError(
            f"metadata['ecg_widget']: expected the description of a network, got {sorted(metadata or {})}; write the "
            "file with ECGNetwork.save"
        )
    try:
        about = json.loads(metadata["ecg_widget"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata['ecg_widget']: expected JSON: {error}") from None
    version = about.get("format") if isinstance(about, dict) else about
    if version != _FORMAT:
        raise ValueError(f"format: expected {_FORMAT}, got {version!r}; the file is of another version of ecg_widget")
    for key, kind in _KINDS.items():
        if not isinstance(about.get(key), kind):
            raise ValueError(f"{key}: expected {kind.__name__}, got {about.get(key)!r}")  # noqa: TRY004  (a file is wrong)
    return dict(about)
