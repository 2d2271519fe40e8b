"""Networks for ECGs, as plain PyTorch modules: (batch, lead, time) in, (batch, target) out.

Each keeps its residual blocks in the attribute ``blocks`` and its last layer in ``head``. What a network needs besides
its weights (leads, rate, units) is kept by `ecg_widget.networks.ECGNetwork`, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ecg_widget.benchmark_networks import WangResNet1d, XResNet1d, resnet1d_wang, xresnet1d101
from ecg_widget.ribeiro import RibeiroResNet
from ecg_widget.settings import odd, probability, size, sizes

__all__ = [
    "ARCHITECTURES",
    "PooledResNet1d",
    "ResNet1d",
    "ResidualBlock",
    "RibeiroResNet",
    "WangResNet1d",
    "XResNet1d",
    "build",
    "resnet1d_wang",
    "xresnet1d101",
]


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, ReLU last: what it returns is what the next block reads.

    Parameters
    ----------
    n_in, n_out
        Channels.
    kernel_size
        Samples, odd.
    stride
        Of the first convolution; cell ``i`` of the output is centred on sample ``stride * i`` of the input.
    dropout
        Probability for a channel, between the convolutions.
    """

    def __init__(self, n_in: int, n_out: int, *, kernel_size: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        pad = kernel_size // 2
        self.conv1 = nn.Conv1d(n_in, n_out, kernel_size, stride=stride, padding=pad, bias=False)
        self.bn1 = nn.BatchNorm1d(n_out)
        self.dropout = nn.Dropout1d(dropout)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel_size, padding=pad, bias=False)
        self.bn2 = nn.BatchNorm1d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv1d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm1d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, n_in, time)`` to ``(batch, n_out, ceil(time / stride))``."""
        y = self.dropout(torch.relu(self.bn1(self.conv1(x))))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet1d(nn.Module):
    """Residual network with the head ``Linear(mean over time)``.

    The head makes contributions exact: a logit is the bias plus the mean of one number for each cell of the last block.
    With the default strides and 100 Hz the cells of the blocks are 20, 20, 40 and 80 ms apart. Any record length goes.

    Parameters
    ----------
    n_leads, n_targets
        Channels of the input, length of the output.
    channels, strides
        One entry for each residual block.
    stem_channels, stem_stride, stem_kernel
        The convolution before the blocks; `stem_kernel` in samples, odd.
    kernel_size
        Of the blocks, samples, odd.
    dropout
        Probability for a channel inside each block.

    Raises
    ------
    TypeError, ValueError
        Sizes that are no network.

    Examples
    --------
    >>> net = ResNet1d(12, 5).eval()
    >>> net(torch.zeros(2, 12, 1000)).shape
    torch.Size([2, 5])
    >>> net.blocks(net.stem(torch.zeros(1, 12, 1000))).shape
    torch.Size([1, 128, 125])
    """

    def __init__(
        self,
        n_leads: int,
        n_targets: int,
        *,
        channels: Sequence[int] = (48, 64, 96, 128),
        strides: Sequence[int] = (1, 1, 2, 2),
        stem_channels: int = 48,
        stem_stride: int = 2,
        stem_kernel: int = 15,
        kernel_size: int = 9,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_leads": size("n_leads", n_leads),
            "n_targets": size("n_targets", n_targets),
            "channels": sizes("channels", channels),
            "strides": sizes("strides", strides),
            "stem_channels": size("stem_channels", stem_channels),
            "stem_stride": size("stem_stride", stem_stride),
            "stem_kernel": odd("stem_kernel", stem_kernel),
            "kernel_size": odd("kernel_size", kernel_size),
            "dropout": probability("dropout", dropout),
        }
        if len(channels) != len(strides):
            raise ValueError(
                f"strides: expected {len(channels)} entries as in channels={list(channels)}, got {list(strides)}"
            )
        pad = stem_kernel // 2
        self.stem = nn.Sequential(
            nn.Conv1d(n_leads, stem_channels, stem_kernel, stride=stem_stride, padding=pad, bias=False),
            nn.BatchNorm1d(stem_channels),
            nn.ReLU(),
        )
        ins = [stem_channels, *channels[:-1]]
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(a, b, kernel_size=kernel_size, stride=s, dropout=dropout)
                for a, b, s in zip(ins, channels, strides, strict=True)
            )
        )
        self.head: nn.Module = self._head(channels[-1], n_targets)

    def _head(self, n_channels: int, n_targets: int) -> nn.Module:
        return nn.Linear(n_channels, n_targets)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lead, time)`` to logits ``(batch, target)``."""
        out: Tensor = self.head(self.blocks(self.stem(x)).mean(dim=-1))
        return out


class PooledResNet1d(ResNet1d):
    """`ResNet1d` whose head pools mean and maximum over time and ends in a multilayer perceptron.

    The head of the networks of the PTB-XL benchmark (Strodthoff et al. 2021, doi 10.1109/JBHI.2020.3022989): not linear
    in the cells, so that contributions need an approximation or Shapley values.

    Parameters
    ----------
    *args, **kwargs
        As for `ResNet1d`.

    Examples
    --------
    >>> PooledResNet1d(12, 5).eval()(torch.zeros(2, 12, 300)).shape
    torch.Size([2, 5])
    """

    def _head(self, n_channels: int, n_targets: int) -> nn.Module:
        hidden = n_channels
        return nn.Sequential(
            nn.BatchNorm1d(2 * n_channels),
            nn.Linear(2 * n_channels, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.25),
            nn.Linear(hidden, n_targets),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lead, time)`` to logits ``(batch, target)``."""
        cells = self.blocks(self.stem(x))
        out: Tensor = self.head(torch.cat([cells.mean(dim=-1), cells.amax(dim=-1)], dim=1))
        return out


ARCHITECTURES: dict[str, type[nn.Module]] = {
    c.__name__: c for c in (ResNet1d, PooledResNet1d, RibeiroResNet, XResNet1d, WangResNet1d)
}
"""Architectures that a weights file may name."""


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Make one of `ARCHITECTURES` from the settings that its attribute ``config`` holds.

    Raises
    ------
    ValueError
        An unknown name, unknown settings, or settings that are no network.

    Examples
    --------
    >>> build("ResNet1d", ResNet1d(12, 5).config).config["channels"]
    [48, 64, 96, 128]
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ValueError(f"architecture: expected one of {sorted(ARCHITECTURES)}, got {name!r}")
    try:
        return ARCHITECTURES[name](**config)
    except TypeError as error:  # unknown settings or wrong types
        raise ValueError(f"architecture {name}: {error}") from None
