"""Two networks of the PTB-XL benchmark, written from their published description; their weights are random.

Strodthoff et al. 2021 (doi 10.1109/JBHI.2020.3022989) describe them; the first follows the changes to residual networks
of He et al. 2019 (arXiv 1812.01187), the second Wang et al. 2017 (arXiv 1611.06455).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ecg_widget.settings import odd, probability, size, sizes

__all__ = ["BottleneckBlock", "WangResNet1d", "XResNet1d", "resnet1d_wang", "xresnet1d101"]


def _conv(n_in: int, n_out: int, kernel_size: int, stride: int = 1, *, act: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, with `act`, a ReLU; cell i is centred on sample ``stride * i``."""
    layers: list[nn.Module] = [
        nn.Conv1d(n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm1d(n_out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


class BottleneckBlock(nn.Module):
    """Narrow, convolve, widen, add the shortcut, ReLU; the shortcut averages before it convolves.

    Parameters
    ----------
    n_in, n_hidden, n_out
        Channels before, inside and after.
    kernel_size
        Samples, odd.
    stride
        Of the middle convolution, and width of the shortcut's average.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int, *, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            _conv(n_in, n_hidden, 1),
            _conv(n_hidden, n_hidden, kernel_size, stride),
            _conv(n_hidden, n_out, 1, act=False),
        )
        pool: list[nn.Module] = [nn.AvgPool1d(stride, ceil_mode=True)] if stride > 1 else []
        widen: list[nn.Module] = [_conv(n_in, n_out, 1, act=False)] if n_in != n_out else []
        self.shortcut = nn.Sequential(*pool, *widen)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, n_in, time)`` to ``(batch, n_out, ceil(time / stride))``."""
        return torch.relu(self.convs(x) + self.shortcut(x))


class XResNet1d(nn.Module):
    """Bottleneck residual network with stem of three convolutions and a head over mean and maximum.

    Cells of the stages are 4, 8, 16 and 32 samples apart.

    Parameters
    ----------
    n_leads, n_targets
        Channels of the input, length of the output.
    depths
        Blocks of each stage; (3, 4, 23, 3) are 101 layers.
    hidden, width
        Channels inside the blocks and between them.
    kernel_size
        Samples, odd.
    dropout
        Of the head.

    Raises
    ------
    TypeError, ValueError
        Sizes that are no network.

    Examples
    --------
    >>> net = XResNet1d(12, 5, depths=(1, 1, 1, 1), hidden=8, width=16).eval()
    >>> net(torch.zeros(2, 12, 1000)).shape, net.stages(net.stem(torch.zeros(1, 12, 1000))).shape
    (torch.Size([2, 5]), torch.Size([1, 16, 32]))
    """

    def __init__(
        self,
        n_leads: int,
        n_targets: int,
        *,
        depths: Sequence[int] = (3, 4, 23, 3),
        hidden: int = 64,
        width: int = 256,
        kernel_size: int = 5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_leads": size("n_leads", n_leads),
            "n_targets": size("n_targets", n_targets),
            "depths": sizes("depths", depths),
            "hidden": size("hidden", hidden),
            "width": size("width", width),
            "kernel_size": odd("kernel_size", kernel_size),
            "dropout": probability("dropout", dropout),
        }
        narrow = max(1, hidden // 2)
        self.stem = nn.Sequential(
            _conv(n_leads, narrow, kernel_size, 2),
            _conv(narrow, narrow, kernel_size),
            _conv(narrow, hidden, kernel_size),
            nn.MaxPool1d(3, 2, padding=1),
        )
        stages = []
        for number, depth in enumerate(depths):
            blocks = [
                BottleneckBlock(
                    hidden if number == block == 0 else width,
                    hidden,
                    width,
                    kernel_size=kernel_size,
                    stride=2 if number > 0 and block == 0 else 1,
                )
                for block in range(depth)
            ]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * width),
            nn.Dropout(dropout / 2),
            nn.Linear(2 * width, 128),
            nn.ReLU(),
            nn.BatchNorm1d(128),
            nn.Dropout(dropout),
            nn.Linear(128, n_targets),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lead, time)`` to logits ``(batch, target)``."""
        cells = self.stages(self.stem(x))
        out: Tensor = self.head(torch.cat([cells.amax(dim=-1), cells.mean(dim=-1)], dim=1))
        return out


class _WangBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel_sizes: Sequence[int], stride: int) -> None:
        super().__init__()
        first, second = kernel_sizes
        self.convs = nn.Sequential(_conv(n_in, n_out, first, stride), _conv(n_out, n_out, second, act=False))
        changes = stride != 1 or n_in != n_out
        self.shortcut = _conv(n_in, n_out, 1, stride, act=False) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.convs(x) + self.shortcut(x))


class WangResNet1d(nn.Module):
    """Three residual blocks at the full, half and quarter rate, head over mean and maximum.

    Parameters
    ----------
    n_leads, n_targets
        Channels of the input, length of the output.
    width
        Channels of the blocks.
    stem_kernel
        Samples, odd.
    kernel_sizes
        Of the two convolutions of a block; samples, odd.
    dropout
        Of the head.

    Raises
    ------
    TypeError, ValueError
        Sizes that are no network.

    Examples
    --------
    >>> WangResNet1d(12, 5, width=16).eval()(torch.zeros(2, 12, 1000)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_leads: int,
        n_targets: int,
        *,
        width: int = 128,
        stem_kernel: int = 7,
        kernel_sizes: Sequence[int] = (5, 3),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_leads": size("n_leads", n_leads),
            "n_targets": size("n_targets", n_targets),
            "width": size("width", width),
            "stem_kernel": odd("stem_kernel", stem_kernel),
            "kernel_sizes": [odd(f"kernel_sizes[{i}]", k) for i, k in enumerate(kernel_sizes)],
            "dropout": probability("dropout", dropout),
        }
        if len(kernel_sizes) != 2:
            raise ValueError(f"kernel_sizes: expected two, of the two convolutions of a block, got {kernel_sizes!r}")
        self.stem = _conv(n_leads, width, stem_kernel)
        self.blocks = nn.Sequential(*(_WangBlock(width, width, kernel_sizes, stride) for stride in (1, 2, 2)))
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * width),
            nn.Dropout(dropout / 2),
            nn.Linear(2 * width, 128),
            nn.ReLU(),
            nn.BatchNorm1d(128),
            nn.Dropout(dropout),
            nn.Linear(128, n_targets),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lead, time)`` to logits ``(batch, target)``."""
        cells = self.blocks(self.stem(x))
        out: Tensor = self.head(torch.cat([cells.amax(dim=-1), cells.mean(dim=-1)], dim=1))
        return out


def xresnet1d101(n_leads: int = 12, n_targets: int = 5) -> XResNet1d:
    """`XResNet1d` with 101 layers, random weights; reads 100 Hz.

    Examples
    --------
    >>> net = xresnet1d101()
    >>> len(net.stages), sum(len(stage) for stage in net.stages)
    (4, 33)
    """
    return XResNet1d(n_leads, n_targets)


def resnet1d_wang(n_leads: int = 12, n_targets: int = 5) -> WangResNet1d:
    """`WangResNet1d` as in the benchmark, random weights; reads 100 Hz.

    Examples
    --------
    >>> resnet1d_wang().blocks[2](torch.zeros(1, 128, 500)).shape
    torch.Size([1, 128, 250])
    """
    return WangResNet1d(n_leads, n_targets)
