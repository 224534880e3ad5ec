"""The training loop: batches in, the averaged network out; alone or on many devices under `torchrun`."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.nn import functional

from animaface.speech.features import N_MELS
from animaface.speech.phones import BILABIAL, LABIODENTAL, N_PHONES, PHONES
from animaface.speech.train.augment import warped_mels
from animaface.speech.train.dataset import CHANNELS, UNKNOWN, Example, Sampler, touches
from animaface.speech.train.losses import correlation_loss, curve_loss, frame_weight, shown_opening
from animaface.speech.train.model import N_TOUCHES, ModelConfig, SpeechNet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitConfig:
    """What one run of training does; `batch` rows of `length` frames on each device."""

    steps: int = 6400
    batch: int = 48
    length: int = 100
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    velocity_weight: float = 2.0
    phone_weight: float = 0.15
    lip_phone_weight: float = 2.0
    touch_weight: float = 1.0
    touch_positive: float = 2.0
    coarticulation_temperature: float = 0.25
    coarticulation_share: float = 0.3
    correlation_weight: float = 0.5
    opening_weight: float = 0.0
    carried_share: float = 0.5
    masked_share: float = 1.0
    average: float = 0.998
    seed: int = 1


CHANNEL_WEIGHT = {"jawOpen": 2.0, "mouthClose": 1.5, "mouthPucker": 1.0, "mouthPressLeft": 1.0,
                  "mouthSmileLeft": 1.0, "headYaw": 0.1, "headPitch": 0.1,
                  "headRoll": 0.1, "browDownLeft": 0.2, "browDownRight": 0.2, "mouthDimpleLeft": 0.3,
                  "mouthDimpleRight": 0.3}  # fmt: skip
CORRELATED = ("jawOpen", "mouthClose", "mouthPucker", "mouthPressLeft", "mouthPressRight", "mouthSmileLeft",
              "mouthSmileRight", "mouthRollUpper", "mouthRollLower")  # fmt: skip
"""Channels whose course within a clip counts, whatever its size."""
_JAW, _CLOSE = CHANNELS.index("jawOpen"), CHANNELS.index("mouthClose")
_LIFTS = [i for i, n in enumerate(CHANNELS) if n.startswith(("mouthLowerDown", "mouthUpperUp"))]
_OPENING_SD, _LEAST_OPENING = 0.1, torch.tensor([0.03])
"""What an opening is measured by, and how much of that a stretch must move to count."""


def scales_of(examples: list[Example]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """([C] mean, [C] standard deviation) of the curves over what is known."""
    curves = np.concatenate([e.curves for e in examples])
    known = np.concatenate([e.weight for e in examples]) > 0
    mean = np.array([c[k].mean() for c, k in zip(curves.T, known.T, strict=True)], np.float32)
    sd = np.array([c[k].std() for c, k in zip(curves.T, known.T, strict=True)], np.float32)
    return mean, np.maximum(sd, 1e-3)


class CarriedState:
    """Half of the rows go on with the state of the batch before: hours of sound, not only two seconds."""

    def __init__(self, net: SpeechNet, batch: int, share: float, rng: np.random.Generator) -> None:
        self._zero, self._share, self._rng = net.initial(batch), share, rng
        self.state: tuple[Tensor, ...] = self._zero

    def next(self) -> tuple[Tensor, ...]:
        """The states to begin the next batch with."""
        batch = self._zero[0].shape[0]
        keep = torch.from_numpy((self._rng.random(batch) < self._share).astype(np.float32))
        past = [s * keep[:, None, None] for s in self.state[:2]]
        return (*past, *(s * keep[None, :, None] for s in self.state[2:]))


def masked(features: NDArray[np.float32], rng: np.random.Generator, share: float) -> NDArray[np.float32]:
    """[B, T, F], a share of the rows with warped vocal tracts and a few hidden bands and moments."""
    out = features.copy()
    batch, length, _ = out.shape
    for b in range(round(share * batch)):
        if rng.random() < 0.4:
            out[b] = warped_mels(out[b], float(np.exp(rng.normal(0, 0.06))))
        out[b] += rng.normal(0, 0.1)
        if rng.random() < 0.3:
            low, width = rng.integers(0, N_MELS), rng.integers(1, 7)
            view = out[b].reshape(length, -1, N_MELS)
            view[:, :, low : low + width] = view[:, :, low : low + width].mean()
        if rng.random() < 0.2:
            start, width = rng.integers(0, length), rng.integers(1, 4)
            out[b, start : start + width] = out[b].mean()
    return out


class Objective:
    """The loss of one batch: curves[B, T, C] in sd, phones[B, T, 2 P + 2], what they should be -> (loss, its parts)."""

    def __init__(self, config: FitConfig, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        self.config, self.mean, self.sd = config, mean, sd
        self.channel = torch.tensor([CHANNEL_WEIGHT.get(n, 0.5) for n in CHANNELS])
        lip = config.lip_phone_weight
        self.lips = torch.tensor([lip if p in BILABIAL | LABIODENTAL else 1.0 for p in PHONES])
        self.scored = [i for i, name in enumerate(CHANNELS) if name in CORRELATED]
        self.least = torch.from_numpy(0.003 / sd[self.scored])
        self.sd_t, self.mean_t = torch.from_numpy(sd), torch.from_numpy(mean)

    def __call__(self, curves: Tensor, phones: Tensor, batch: Example) -> tuple[Tensor, dict[str, float]]:
        """Loss of curves[B, T, C] and phones[B, T, P] on a batch, and its parts by name."""
        c = self.config
        wanted = torch.from_numpy((batch.curves - self.mean) / self.sd)
        weight = torch.from_numpy(batch.weight) * self.channel
        frame = frame_weight(wanted, c.coarticulation_temperature, c.coarticulation_share)
        error = curve_loss(curves, wanted, weight, frame, c.velocity_weight)
        s = self.scored
        course = correlation_loss(curves[:, :, s], wanted[:, :, s], weight[:, :, s], self.least)
        now, ahead, touch = torch.split(phones, [N_PHONES, N_PHONES, N_TOUCHES], dim=2)
        told_now, told_ahead = torch.from_numpy(batch.now), torch.from_numpy(batch.ahead)
        heard = self._phones(now, told_now)
        soon = self._phones(ahead, told_ahead)
        touched = torch.from_numpy(touches(batch.now))
        met = functional.binary_cross_entropy_with_logits(
            touch, touched, reduction="none", pos_weight=torch.tensor(c.touch_positive)
        )
        met = (met * (told_now != UNKNOWN)[:, :, None]).mean()
        loss = error + c.correlation_weight * course + c.phone_weight * (heard + soon) + c.touch_weight * met
        told = {"curves": error, "course": course, "phones": heard, "ahead": soon, "touch": met}
        if c.opening_weight:
            told["opening"] = self._opening(curves, wanted, batch, frame, touched[:, :, :1])
            loss = loss + c.opening_weight * told["opening"]
        return loss, {k: float(v.detach()) for k, v in told.items()}

    def _opening(self, curves: Tensor, wanted: Tensor, batch: Example, frame: Tensor, seal: Tensor) -> Tensor:
        """Of how far the mouth is seen to open, the seal of m b p put on: in place, speed and course."""
        weight = torch.from_numpy(batch.weight)[:, :, _JAW, None]
        real, asked = (x * self.sd_t + self.mean_t for x in (curves, wanted))
        shown = shown_opening(real[..., _JAW], real[..., _CLOSE], real[..., _LIFTS].detach(), seal[..., 0])
        true = asked[..., _JAW] - asked[..., _CLOSE]
        shown, true = shown[..., None] / _OPENING_SD, true[..., None] / _OPENING_SD
        place = curve_loss(shown, true, weight, frame, self.config.velocity_weight)
        return place + correlation_loss(shown, true, weight, _LEAST_OPENING)

    def _phones(self, logits: Tensor, phones: Tensor) -> Tensor:
        error = functional.cross_entropy(
            logits.flatten(0, 1), phones.flatten(), self.lips, ignore_index=UNKNOWN, reduction="sum"
        )
        return error / (phones != UNKNOWN).sum().clamp(min=1)


@contextmanager
def device_group() -> Iterator[tuple[int, int]]:
    """(rank, how many): 0 of 1 alone; under `torchrun` a process group of gloo."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield 0, 1
        return
    distributed.init_process_group("gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def fit(
    groups: list[tuple[float, list[Example]]],
    model_config: ModelConfig,
    config: FitConfig,
    *,
    rank: int = 0,
    world: int = 1,
    begin: SpeechNet | None = None,
) -> tuple[SpeechNet, NDArray[np.float32], NDArray[np.float32]]:
    """groups: (share of the rows, examples) -> (network averaged over the steps, [C] mean, [C] sd).

    curves = output * sd + mean, with the scales of the first group. `begin`: the network to go on with. With world > 1 every process sees other
    rows and the gradients are averaged (DistributedDataParallel).
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng((config.seed, rank))
    mean, sd = scales_of(groups[0][1])
    net = SpeechNet(model_config)
    if begin is not None:
        net.load_state_dict(begin.state_dict())
    trained: Any = torch.nn.parallel.DistributedDataParallel(net) if world > 1 else net
    slow = torch.optim.swa_utils.AveragedModel(
        net, avg_fn=lambda slow_w, w, _: slow_w + (1 - config.average) * (w - slow_w)
    )
    optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, config.steps, pct_start=0.1
    )
    objective = Objective(config, mean, sd)
    carried = CarriedState(net, config.batch, config.carried_share, rng)
    sample, started = (
        Sampler(groups, config.length, config.batch, config.seed + 1000 * rank),
        time.perf_counter(),
    )
    torch.set_flush_denormal(True)  # of the whole thread: taken back below
    for step in range(config.steps):
        batch = sample()
        heard = torch.from_numpy(masked(batch.features, rng, config.masked_share))
        curves, phones, *after = trained(heard, *carried.next())
        carried.state = tuple(s.detach() for s in after)
        loss, told = objective(curves, phones, batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        slow.update_parameters(net)
        if step % 50 == 49 and rank == 0:
            parts = ", ".join(f"{k} {v:.3f}" for k, v in told.items())
            log.info("step %d: %s, %.0f s", step + 1, parts, time.perf_counter() - started)
    torch.set_flush_denormal(False)
    net.load_state_dict(slow.module.state_dict())
    return net.eval(), mean, sd
