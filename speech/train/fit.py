"""The training loop: batches in, the averaged network out."""

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from animaface.speech.features import N_MELS
from animaface.speech.phones import BILABIAL, LABIODENTAL, N_PHONES, PHONES
from animaface.speech.train.augment import warped_mels
from animaface.speech.train.dataset import CHANNELS, Example, Sampler
from animaface.speech.train.model import ModelConfig, SpeechNet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitConfig:
    """What one run of training does; every number that was tried is here."""

    steps: int = 1000
    batch: int = 64
    length: int = 186
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    velocity_weight: float = 2.0
    phone_weight: float = 0.15
    lip_phone_weight: float = 2.0
    coarticulation_temperature: float = 0.25
    coarticulation_share: float = 0.5
    correlation_weight: float = 0.3
    carried_share: float = 0.5
    average: float = 0.995
    seed: int = 1


CHANNEL_WEIGHT = {"jawOpen": 2.0, "mouthClose": 1.0, "mouthPucker": 1.0, "mouthPressLeft": 1.0,
                  "mouthSmileLeft": 1.0, "headYaw": 0.1, "headPitch": 0.1,
                  "headRoll": 0.1, "browDownLeft": 0.2, "browDownRight": 0.2, "mouthDimpleLeft": 0.3,
                  "mouthDimpleRight": 0.3}  # fmt: skip


CORRELATED = ("jawOpen", "mouthClose", "mouthPucker", "mouthPressLeft", "mouthPressRight", "mouthSmileLeft",
              "mouthSmileRight", "mouthRollUpper", "mouthRollLower")  # fmt: skip
"""Channels whose course within a clip counts, whatever its size."""


def scales_of(examples: list[Example]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """([C] mean, [C] standard deviation) of the curves over what is known."""
    curves = np.concatenate([e.curves for e in examples])
    known = np.concatenate([e.weight for e in examples]) > 0
    mean = np.array([c[k].mean() for c, k in zip(curves.T, known.T, strict=True)], np.float32)
    sd = np.array([c[k].std() for c, k in zip(curves.T, known.T, strict=True)], np.float32)
    return mean, np.maximum(sd, 1e-3)


def curve_loss(predicted: Tensor, wanted: Tensor, weight: Tensor, config: FitConfig) -> Tensor:
    """Squared error and squared error of velocity, weighed towards moments of much motion.

    The weight of a frame is the softmax over the stretch of the mean motion in five frames, mixed with an
    even one (phonetic-context loss). predicted, wanted, weight: [B, T, C] in standard deviations.
    """
    with torch.no_grad():
        motion = functional.pad((wanted[:, 1:] - wanted[:, :-1]).abs().mean(dim=2), (1, 0))
        motion = functional.avg_pool1d(motion[:, None], 5, 1, 2)[:, 0]
        soft = torch.softmax(motion / config.coarticulation_temperature, dim=1) * motion.shape[1]
        share = config.coarticulation_share
        frame = ((1 - share) + share * soft)[:, :, None]
    error = predicted - wanted
    moved = weight[:, 1:] * weight[:, :-1]
    velocity = (error[:, 1:] - error[:, :-1]) ** 2
    return (frame * weight * error**2).mean() + config.velocity_weight * (
        frame[:, 1:] * moved * velocity
    ).mean()


def correlation_loss(predicted: Tensor, wanted: Tensor, weight: Tensor, least: Tensor) -> Tensor:
    """1 - Pearson's r of each row and channel that moves more than `least`[C], by the channel's weight."""
    known = (weight > 0).float()
    count = known.sum(dim=1, keepdim=True).clamp(min=1.0)

    def centred(x: Tensor) -> Tensor:
        return (x - (x * known).sum(dim=1, keepdim=True) / count) * known

    p, w = centred(predicted), centred(wanted)
    moved = ((w**2).sum(dim=1) / count[:, 0] > least**2).float()
    r = (p * w).sum(dim=1) / torch.sqrt((p**2).sum(dim=1) * (w**2).sum(dim=1) + 1e-4)
    share = moved * (weight.amax(dim=1) > 0)
    return ((1.0 - r) * share).sum() / share.sum().clamp(min=1.0)


class CarriedState:
    """Half of the rows go on with the state of the batch before: hours of sound, not only three seconds."""

    def __init__(self, net: SpeechNet, batch: int, share: float, rng: np.random.Generator) -> None:
        self._zero, self._share, self._rng = net.initial(batch), share, rng
        self.state: tuple[Tensor, ...] = self._zero

    def next(self) -> tuple[Tensor, ...]:
        """The states to begin the next batch with."""
        batch = self._zero[0].shape[0]
        keep = torch.from_numpy((self._rng.random(batch) < self._share).astype(np.float32))
        past = [s * keep[:, None, None] for s in self.state[:2]]
        return (*past, *(s * keep[None, :, None] for s in self.state[2:]))


def masked(features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """[B, T, F] with warped vocal tracts and a few hidden bands and moments."""
    out = features.copy()
    batch, length, _ = out.shape
    for b in range(batch):
        if rng.random() < 0.6:
            out[b] = warped_mels(out[b], float(np.exp(rng.normal(0, 0.06))))
        out[b] += rng.normal(0, 0.15)
        if rng.random() < 0.5:
            low, width = rng.integers(0, N_MELS), rng.integers(1, 7)
            view = out[b].reshape(length, -1, N_MELS)
            view[:, :, low : low + width] = view[:, :, low : low + width].mean()
        if rng.random() < 0.5:
            start, width = rng.integers(0, length), rng.integers(1, 5)
            out[b, start : start + width] = out[b].mean()
    return out


def fit(
    examples: list[Example], model_config: ModelConfig, config: FitConfig
) -> tuple[SpeechNet, NDArray[np.float32], NDArray[np.float32]]:
    """(network averaged over the steps, [C] mean, [C] sd): curves = output * sd + mean."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    mean, sd = scales_of(examples)
    channel = torch.tensor([CHANNEL_WEIGHT.get(n, 0.5) for n in CHANNELS])
    net = SpeechNet(model_config)
    slow = torch.optim.swa_utils.AveragedModel(
        net, avg_fn=lambda slow_w, w, _: slow_w + (1 - config.average) * (w - slow_w)
    )
    optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, config.steps, pct_start=0.1
    )
    lips = torch.tensor([config.lip_phone_weight if p in BILABIAL | LABIODENTAL else 1.0 for p in PHONES])
    scored = [i for i, name in enumerate(CHANNELS) if name in CORRELATED]
    least = torch.from_numpy(0.003 / sd[scored])
    carried = CarriedState(net, config.batch, config.carried_share, rng)
    sample, started = Sampler(examples, config.length, config.batch, config.seed), time.perf_counter()
    for step in range(config.steps):
        batch = sample()
        features = torch.from_numpy(masked(batch.features, rng))
        wanted = torch.from_numpy((batch.curves - mean) / sd)
        curves, phones, *after = net(features, *carried.next())
        carried.state = tuple(s.detach() for s in after)
        weight = torch.from_numpy(batch.weight) * channel
        loss = curve_loss(curves, wanted, weight, config)
        loss = loss + config.correlation_weight * correlation_loss(
            curves[:, :, scored], wanted[:, :, scored], weight[:, :, scored], least
        )
        now, ahead = phones.split(N_PHONES, dim=2)
        heard = functional.cross_entropy(now.flatten(0, 1), torch.from_numpy(batch.now).flatten(), lips)
        soon = functional.cross_entropy(ahead.flatten(0, 1), torch.from_numpy(batch.ahead).flatten(), lips)
        optimiser.zero_grad()
        torch.autograd.backward(loss + config.phone_weight * (heard + soon))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        slow.update_parameters(net)
        if step % 50 == 49:
            log.info(
                "step %d: curves %.3f phones %.3f %.3f, %.0f s",
                step + 1, loss.item(), heard.item(), soon.item(), time.perf_counter() - started,
            )  # fmt: skip
    net.load_state_dict(slow.module.state_dict())
    return net.eval(), mean, sd
