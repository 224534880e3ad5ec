"""What the network is asked for: curves that are right where they move, in course and in speed."""

import torch
from torch import Tensor
from torch.nn import functional


def frame_weight(wanted: Tensor, temperature: float, share: float) -> Tensor:
    """[B, T, 1] that pays for moments of much motion: phonetic-context loss, mixed with an even weight.

    The softmax over the stretch of the mean motion in five frames (Park, Cho and others 2025: phonetic
    context-aware loss for speech-driven faces); share 0 is plain squared error. wanted[B, T, C] in sd.
    """
    motion = functional.pad((wanted[:, 1:] - wanted[:, :-1]).abs().mean(dim=2), (1, 0))
    motion = functional.avg_pool1d(motion[:, None], 5, 1, 2)[:, 0]
    soft = torch.softmax(motion / temperature, dim=1) * motion.shape[1]
    return ((1 - share) + share * soft)[:, :, None]


def curve_loss(
    predicted: Tensor, wanted: Tensor, weight: Tensor, frame: Tensor, velocity_weight: float
) -> Tensor:
    """Squared error and squared error of velocity; predicted, wanted, weight [B, T, C], frame [B, T, 1]."""
    error = predicted - wanted
    moved = weight[:, 1:] * weight[:, :-1]
    velocity = (error[:, 1:] - error[:, :-1]) ** 2
    place = (frame * weight * error**2).mean()
    return place + velocity_weight * (frame[:, 1:] * moved * velocity).mean()


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


def shown_opening(jaw: Tensor, close: Tensor, lifts: Tensor, seal: Tensor) -> Tensor:
    """[B, T] how far the mouth is seen to open: jaw, close, seal[B, T], lifts[B, T, 4] of the lips, in real units.

    The rules seal m b p after the network (`closure.py`), further than this face does; a network that knows it can
    make up for it in what lies between.
    """
    return (1.0 - seal) * (jaw - close + lifts.mean(dim=2))
