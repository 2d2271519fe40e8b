"""Train a network on labelled recordings, from labels alone or with other networks as teachers.

The schedule is fixed before it starts and the weights at its end are kept: nothing is chosen by looking at records that
the training does not read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ecg_widget.networks import ECGNetwork, predict
from ecg_widget.records import millivolts

__all__ = ["Augmentation", "Schedule", "soft_labels", "train"]

_SPREAD = 0.2  # mV: about the standard deviation of a lead, which is the unit of z-scored leads


@dataclass(frozen=True)
class Augmentation:
    """Changes that leave an ECG's labels as they are; ranges are drawn from anew for each record and step.

    Parameters
    ----------
    window
        Share of the record that is read, from anywhere in it: (least, most).
    stretch
        Factor on the time axis, drawn from [1 / stretch, stretch]: heart rates between those of the records.
    gain, lead_gain
        Factors on the whole record and on each lead, drawn log-normally: standard deviations of the logarithm.
    wander
        Amplitude of a sine of 0.05 to 0.5 Hz in each lead, standard deviation in mV.
    noise
        Standard deviation of white noise in mV, itself drawn between 0 and this.
    """

    window: tuple[float, float] = (0.5, 0.87)
    stretch: float = 1.15
    gain: float = 0.15
    lead_gain: float = 0.05
    wander: float = 0.05
    noise: float = 0.02


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and from which start.

    Parameters
    ----------
    epochs
        Passes over the records.
    minutes
        Bound on the time, None: none. Where it comes first, the learning rate falls in step with the time, and the
        result depends on the machine's speed.
    batch_size
        Records.
    learning_rate, weight_decay
        Of AdamW; one cycle, the highest rate after a tenth of the steps, then a cosine to 0.
    average
        Steps over which weights are averaged (exponentially); the average is what is kept.
    soft
        Share of the teachers' probabilities in what is learned, beside the labels.
    seed
        Of the order, the augmentation and the dropout. The start values of the network are its own.
    """

    epochs: int = 60
    minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    average: int = 100
    soft: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch_size", 2, 65_536),
            ("average", 1, 1_000_000),
            ("learning_rate", 1e-8, 1.0),
            ("weight_decay", 0.0, 10.0),
            ("soft", 0.0, 1.0),
            ("minutes", 1e-3, 1e6),
        ):
            value = getattr(self, name)
            if not (value is None and name == "minutes") and not low <= value <= high:
                raise ValueError(f"{name}: expected {low:g} to {high:g}, got {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def soft_labels(teachers: Sequence[nn.Module], ds: xr.Dataset) -> xr.DataArray:
    """What several networks say about labelled records, on the labels' scale.

    The mean of the teachers' logits, moved for each target by the number that makes the mean probability over the
    records equal the share of the label: networks that were trained with class weights call rare classes too often.

    Parameters
    ----------
    teachers
        Each predicts probabilities for all targets of ``ds.label``.
    ds
        Of the data contract, with ``label``.

    Returns
    -------
    xarray.DataArray
        ``(record, target)`` probabilities.

    Raises
    ------
    ValueError
        A teacher lacks a target, or gives no probabilities.
    """
    targets = [str(t) for t in ds["target"].values]
    logits = np.zeros(ds["label"].shape)
    for teacher in teachers:
        said = predict(teacher, ds)
        if said.attrs["output"] != "probability" or not set(targets) <= set(said["target"].values.tolist()):
            raise ValueError(
                f"teacher {said.attrs['network']}: expected probabilities of {targets}, got {said.attrs['output']} of "
                f"{said['target'].values.tolist()}; wrap it in ECGNetwork(..., targets=..., output='sigmoid')"
            )
        p = np.clip(said.sel(target=targets).values.astype(float), 1e-6, 1 - 1e-6)
        logits += np.log(p / (1 - p)) / len(teachers)
    share = ds["label"].values.mean(axis=0)
    shift = np.zeros(len(targets))
    low, high = np.full_like(shift, -20), np.full_like(shift, 20)
    for _ in range(60):  # bisection: the mean probability rises with the shift
        shift = (low + high) / 2
        above = _sigmoid(logits + shift).mean(axis=0) > share
        low, high = np.where(above, low, shift), np.where(above, shift, high)
    return xr.DataArray(_sigmoid(logits + shift), ds["label"].coords, ("record", "target"))


def train(
    net: ECGNetwork,
    ds: xr.Dataset,
    *,
    soft: xr.DataArray | None = None,
    schedule: Schedule | None = None,
    augmentation: Augmentation | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a network in place; afterwards it is in eval mode and holds the averaged weights of the last step.

    Parameters
    ----------
    net
        Its device is used. ``output`` must be ``"sigmoid"``: every target is a yes or no.
    ds
        Of the data contract, with ``label (record, target)`` for all targets of `net`. All records are learned from.
    soft
        Probabilities ``(record, target)``, see `soft_labels`; mixed with the labels.
    schedule, augmentation
        Defaults: those of the classes.
    progress
        Called with the number of the epoch, from 1, and its mean loss.

    Returns
    -------
    list of float
        Mean binary cross-entropy of each epoch, natural logarithm.

    Raises
    ------
    ValueError
        No labels, other targets, fewer than two usable records, or an output that is not ``"sigmoid"``.
    FloatingPointError
        The loss is not finite any more.
    """
    schedule = schedule or Schedule()
    x, y = _examples(net, ds, soft, schedule.soft)
    augmentation = augmentation or Augmentation()
    if net.spec.n_samples is not None and augmentation.window != (1, 1):
        raise ValueError(
            f"augmentation: expected window=(1, 1) for a network that reads exactly {net.spec.n_samples} samples, got "
            f"{augmentation.window}"
        )
    scale = 1 / (_SPREAD if net.spec.normalise else millivolts(net.spec.units))
    device = next(net.parameters()).device
    x, y = x.to(device), y.to(device)
    random = torch.Generator().manual_seed(schedule.seed)
    batch = min(schedule.batch_size, len(x))
    per_epoch = max(1, len(x) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay)
    keep = get_ema_multi_avg_fn(1 - 1 / schedule.average)  # type: ignore[no-untyped-call]
    average = AveragedModel(net, multi_avg_fn=keep, use_buffers=True)
    started, losses, step = time.monotonic(), list[float](), 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(schedule.seed)  # dropout draws from the global generator; the caller's is put back
        net.train()
        for epoch in range(1, schedule.epochs + 1):
            total, done = 0.0, 0.0
            order = torch.randperm(len(x), generator=random)
            for i in range(per_epoch):
                rows = order[i * batch : (i + 1) * batch].to(device)
                done = _done(step, schedule, per_epoch, started)
                for group in optimiser.param_groups:
                    group["lr"] = schedule.learning_rate * _cycle(done)
                seen = augment(x[rows], net.spec.sampling_rate, augmentation, random, millivolt=scale)
                loss = F.binary_cross_entropy_with_logits(net(seen), y[rows])
                if not torch.isfinite(loss):
                    raise FloatingPointError(f"loss: not finite in epoch {epoch}; lower learning_rate")
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                average.update_parameters(net)
                total, step = total + loss.item(), step + 1
            losses.append(total / per_epoch)
            if progress is not None:
                progress(epoch, losses[-1])
            if done >= 1:
                break
    net.load_state_dict(average.module.state_dict())
    net.eval()
    return losses


def augment(x: Tensor, rate: float, how: Augmentation, random: torch.Generator, *, millivolt: float = 1.0) -> Tensor:
    """Draw changed copies of some records.

    Parameters
    ----------
    x
        ``(record, lead, time)``.
    rate
        Hz.
    how
        Ranges.
    random
        Generator on the CPU, so that a seed means the same on every device.
    millivolt
        One millivolt in the unit of `x`.

    Returns
    -------
    torch.Tensor
        ``(record, lead, window)``, one window length for all.
    """
    n, n_leads, n_time = x.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=random)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    length = max(2, round(float(uniform(*how.window, 1)) * n_time))
    speed = torch.exp(uniform(-math.log(how.stretch), math.log(how.stretch), n, 1))
    speed = speed.clamp(max=(n_time - 1) / (length - 1))
    start = torch.rand((n, 1), generator=random) * ((n_time - 1) - speed * (length - 1))
    position = (start + speed * torch.arange(length)).clamp(0, n_time - 1)
    left = position.floor().long().clamp(max=n_time - 2)
    share = (position - left)[:, None].to(x.device, x.dtype)
    left = left[:, None].expand(-1, n_leads, -1).to(x.device)
    out = torch.lerp(x.gather(2, left), x.gather(2, left + 1), share)
    gain = torch.exp(how.gain * normal(n, 1, 1) + how.lead_gain * normal(n, n_leads, 1))
    phase = 2 * math.pi * (uniform(0.05, 0.5, n, 1, 1) * torch.arange(length) / rate + uniform(0, 1, n, n_leads, 1))
    wander = how.wander * normal(n, n_leads, 1) * torch.sin(phase)
    noise = uniform(0, how.noise, n, 1, 1) * normal(n, n_leads, length)
    return out * gain.to(out) + millivolt * (wander + noise).to(out)


def _examples(net: ECGNetwork, ds: xr.Dataset, soft: xr.DataArray | None, share: float) -> tuple[Tensor, Tensor]:
    if net.output != "sigmoid":
        raise ValueError(f"output: expected 'sigmoid', which makes every target a yes or no, got {net.output!r}")
    if "label" not in ds:
        raise ValueError(
            "label: expected ds.label (record, target) bool, got none; open a labelled corpus or assign it"
        )
    targets = list(net.targets)
    if missing := set(targets) - set(ds["target"].values.tolist()):
        raise ValueError(f"label: expected the targets {targets}, missing {sorted(missing)}")
    prepared = net.prepare(ds)
    y = ds["label"].sel(target=targets).values.astype(np.float32)
    if soft is not None:
        said = soft.sel(record=ds["record"].values, target=targets).values
        y = share * said.astype(np.float32) + (1 - share) * y
    usable = prepared.valid.any(dim=1)
    if usable.sum() < 2:
        raise ValueError(f"ds: expected at least two records with valid samples, got {int(usable.sum())}")
    return prepared.x[usable], torch.from_numpy(np.ascontiguousarray(y))[usable]


def _done(step: int, schedule: Schedule, per_epoch: int, started: float) -> float:
    share = (step + 1) / (schedule.epochs * per_epoch)
    if schedule.minutes is None:
        return share
    return max(share, (time.monotonic() - started) / (60 * schedule.minutes))


def _cycle(done: float) -> float:
    """Learning rate as a share of the highest: a line up to a tenth, then a cosine to 0."""
    return done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.1) / 0.9)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))
