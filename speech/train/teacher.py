"""A teacher for voices without video: phones and their times -> the curves the GRID speaker would have made.

Sees phones as articulatory features only (no sound, no words), so it can be asked about sounds and languages
that the GRID grammar lacks. Looks both ways; it never runs outside training.
"""

import logging
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.phones import phone_class

log = logging.getLogger(__name__)
_ARTICULATION: Final[dict[str, str]] = {
    "SIL": "silence", "P": "lips stop", "B": "lips stop voiced", "M": "lips nasal voiced", "F": "teeth-lip fric",
    "V": "teeth-lip fric voiced", "TH": "dental fric", "DH": "dental fric voiced", "T": "alveolar stop",
    "D": "alveolar stop voiced", "N": "alveolar nasal voiced", "S": "alveolar fric sibilant",
    "Z": "alveolar fric sibilant voiced", "L": "alveolar approx voiced", "SH": "palatal fric sibilant round",
    "ZH": "palatal fric sibilant round voiced", "CH": "palatal stop fric sibilant round",
    "JH": "palatal stop fric sibilant round voiced", "R": "approx round voiced retro",
    "Y": "palatal approx voiced", "W": "lip-approx approx round voiced", "K": "velar stop",
    "G": "velar stop voiced", "NG": "velar nasal voiced", "HH": "glottal fric",
    "IY": "vowel high front voiced", "IH": "vowel high front lax voiced", "EY": "vowel mid front glide-up voiced",
    "EH": "vowel mid front lax voiced", "AE": "vowel low front voiced", "AA": "vowel low back voiced",
    "AO": "vowel mid back round voiced", "OW": "vowel mid back round glide-round voiced",
    "UH": "vowel high back round lax voiced", "UW": "vowel high back round voiced",
    "AH": "vowel mid lax voiced", "ER": "vowel mid retro voiced", "AY": "vowel low glide-up voiced",
    "AW": "vowel low glide-round voiced", "OY": "vowel mid back round glide-up voiced",
}  # fmt: skip
_FEATURES: Final = sorted({f for text in _ARTICULATION.values() for f in text.split()})
N_INPUTS: Final = len(_FEATURES) + 3


def phone_inputs(phones: list[tuple[str, float, float]], frames: int) -> NDArray[np.float32]:
    """[frames, N_INPUTS] articulatory features, place within the phone, its length, begin mark."""
    out = np.zeros((frames, N_INPUTS), np.float32)
    out[:, _FEATURES.index("silence")] = 1.0
    t = np.arange(frames) / FRAME_RATE_HZ
    for name, start, end in phones:
        inside = (t >= start) & (t < end)
        out[inside] = 0.0
        for f in _ARTICULATION[phone_class(name)].split():
            out[inside, _FEATURES.index(f)] = 1.0
        length = max(end - start, 1e-3)
        out[inside, -3] = (t[inside] - start) / length
        out[inside, -2] = min(length, 0.3) / 0.1
        out[inside, -1] = np.exp(-(t[inside] - start) / 0.03)
    return out


class Teacher(nn.Module):
    """Convolutions over +-23 frames."""

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(N_INPUTS, width, 7, padding=3), nn.GELU(), nn.Dropout(0.15)]
        for dilation in (1, 2, 4):
            layers += [
                nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation),
                nn.GELU(),
                nn.Dropout(0.15),
            ]
        self.body = nn.Sequential(*layers, nn.Conv1d(width, channels, 5, padding=2))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, N_INPUTS] -> [B, T, C] in standard deviations."""
        y: Tensor = self.body(x.transpose(1, 2))
        return y.transpose(1, 2)


def fit_teacher(
    inputs: list[NDArray[np.float32]],
    curves: list[NDArray[np.float32]],
    mean: NDArray[np.float32],
    sd: NDArray[np.float32],
    *,
    steps: int = 1500,
    seed: int = 1,
) -> Teacher:
    """inputs[i][T, N_INPUTS], curves[i][T, C] of the same clips -> the teacher."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Teacher(curves[0].shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    length = 150
    usable = [i for i, c in enumerate(curves) if len(c) > length]
    for step in range(steps):
        picks, x, y = rng.choice(usable, 32), [], []
        for i in picks:
            at = int(rng.integers(0, len(curves[i]) - length))
            x.append(inputs[i][at : at + length])
            y.append((curves[i][at : at + length] - mean) / sd)
        predicted, wanted = net(torch.from_numpy(np.stack(x))), torch.from_numpy(np.stack(y))
        speed = ((predicted - wanted)[:, 1:] - (predicted - wanted)[:, :-1]) ** 2
        loss = ((predicted - wanted) ** 2).mean() + 2.0 * speed.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            log.info("teacher step %d: %.3f", step + 1, loss.item())
    return net.eval()


def taught(
    net: Teacher,
    phones: list[tuple[str, float, float]],
    frames: int,
    mean: NDArray[np.float32],
    sd: NDArray[np.float32],
) -> NDArray[np.float32]:
    """[frames, C] curves of a voice that was never filmed."""
    with torch.no_grad():
        y = net(torch.from_numpy(phone_inputs(phones, frames))[None])[0].numpy()
    return np.asarray(y * sd + mean, np.float32)
