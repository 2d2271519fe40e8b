"""The residual network of Ribeiro et al. 2020 in its PyTorch form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ecg_widget.settings import odd, probability, size, sizes

__all__ = ["RibeiroBlock", "RibeiroResNet"]


class RibeiroBlock(nn.Module):
    """Residual block that hands on a pair: ``x`` after and ``y`` before the last normalisation.

    Parameters
    ----------
    n_in, n_out
        Channels.
    downsample
        Stride of the second convolution and width of the max pooling in the shortcut.
    kernel_size
        Samples, odd.
    dropout
        Probability for one value.
    """

    def __init__(self, n_in: int, n_out: int, *, downsample: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn1 = nn.BatchNorm1d(n_out)
        self.dropout1 = nn.Dropout(dropout)
        # "Same" padding of a strided convolution: cell i is centred on sample downsample * i + (downsample - 1) // 2 of
        # a kernel 17 with downsample 4 (here: 4 i + 1), not on 4 i.
        pad = max(0, (kernel_size - downsample + 1) // 2)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel_size, stride=downsample, padding=pad, bias=False)
        self.bn2 = nn.BatchNorm1d(n_out)
        self.dropout2 = nn.Dropout(dropout)
        layers: list[nn.Module] = [nn.MaxPool1d(downsample)] if downsample > 1 else []
        if n_in != n_out:
            layers.append(nn.Conv1d(n_in, n_out, 1, bias=False))
        self.skip_connection = nn.Sequential(*layers)

    def forward(self, pair: tuple[Tensor, Tensor] | Tensor) -> tuple[Tensor, Tensor]:
        """Two ``(batch, n_in, time)`` (one alone counts for both) to two ``(batch, n_out, time / downsample)``."""
        x, y = (pair, pair) if isinstance(pair, Tensor) else pair
        x = self.dropout1(torch.relu(self.bn1(self.conv1(x))))
        y = self.conv2(x) + self.skip_connection(y)
        return self.dropout2(torch.relu(self.bn2(y))), y


class RibeiroResNet(nn.Module):
    """The residual network of Ribeiro et al. 2020 (doi 10.1038/s41467-020-15432-4) in its PyTorch form.

    Input at 400 Hz in units of 1e-4 V, zero padded to `n_samples`; head ``Linear(flatten)``.

    Parameters
    ----------
    n_leads, n_targets
        Channels of the input, length of the output.
    channels, lengths
        Filters and samples of each block's output; the ratios of `lengths` are the strides.
    n_samples
        Of the input.
    kernel_size
        Samples, odd.
    dropout
        Probability for one value.

    Raises
    ------
    TypeError, ValueError
        Sizes that are no network; another number of samples in the input.

    Examples
    --------
    >>> net = RibeiroResNet(12, 6).eval()
    >>> net(torch.zeros(1, 12, 4096)).shape
    torch.Size([1, 6])
    """

    def __init__(
        self,
        n_leads: int = 12,
        n_targets: int = 6,
        *,
        channels: Sequence[int] = (64, 128, 196, 256, 320),
        lengths: Sequence[int] = (4096, 1024, 256, 64, 16),
        n_samples: int = 4096,
        kernel_size: int = 17,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_leads": size("n_leads", n_leads),
            "n_targets": size("n_targets", n_targets),
            "channels": sizes("channels", channels),
            "lengths": sizes("lengths", lengths),
            "n_samples": size("n_samples", n_samples),
            "kernel_size": odd("kernel_size", kernel_size),
            "dropout": probability("dropout", dropout),
        }
        before = [n_samples, *lengths[:-1]]
        if len(channels) != len(lengths) or any(a % b for a, b in zip(before, lengths, strict=True)):
            raise ValueError(
                f"lengths: expected {len(channels)} lengths, each a divisor of the one before it, from "
                f"n_samples={n_samples} on; got {list(lengths)}"
            )
        first = n_samples // lengths[0]
        pad = max(0, (kernel_size - first + 1) // 2)
        self.stem = nn.Sequential(
            nn.Conv1d(n_leads, channels[0], kernel_size, stride=first, padding=pad, bias=False),
            nn.BatchNorm1d(channels[0]),  # without a ReLU, as in the published network
        )
        ins = [(channels[0], lengths[0]), *zip(channels[:-1], lengths[:-1], strict=True)]
        self.blocks = nn.Sequential(
            *(
                RibeiroBlock(n_in, n_out, downsample=old // new, kernel_size=kernel_size, dropout=dropout)
                for (n_in, old), n_out, new in zip(ins, channels, lengths, strict=True)
            )
        )
        self.head = nn.Linear(channels[-1] * lengths[-1], n_targets)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lead, n_samples)`` to logits ``(batch, target)``."""
        if x.shape[-1] != self.config["n_samples"]:
            raise ValueError(
                f"time: expected {self.config['n_samples']} samples, got {x.shape[-1]}; state them as "
                f"InputSpec(n_samples={self.config['n_samples']}), which pads and crops"
            )
        after, _ = self.blocks(self.stem(x))
        out: Tensor = self.head(after.flatten(1))
        return out

    @staticmethod
    def rename_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Name the weights of a published checkpoint (``resblock1d_0.conv1.weight``, ...) as this module does.

        Examples
        --------
        >>> list(RibeiroResNet.rename_published({"resblock1d_3.bn1.bias": torch.zeros(1), "lin.bias": torch.zeros(1)}))
        ['blocks.3.bn1.bias', 'head.bias']
        """
        rules = ((r"^resblock1d_(\d+)\.", r"blocks.\1."), (r"^conv1\.", "stem.0."), (r"^bn1\.", "stem.1."))
        out = {}
        for key, value in state.items():
            new = key
            for pattern, replacement in (*rules, (r"^lin\.", "head.")):
                new = re.sub(pattern, replacement, new)
            out[new] = value
        return out
