"""The network in torch: two causal convolutions, two GRU layers, heads. State in, state out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from animaface.speech.features import N_FEATURES
from animaface.speech.phones import N_PHONES

KERNEL = 3
N_TOUCHES = 2


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network; `channels` curves come out."""

    channels: int
    conv: int = 160
    hidden: int = 224
    dropout: float = 0.2


class SpeechNet(nn.Module):
    """features[B, T, 80] and state -> curves[B, T, C], logits[B, T, 2 P + 2], state.

    Logits: phones now, phones at the edge of hearing, lips that meet, lip on the teeth. Causal in the
    features; the look-ahead is in their timing.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        c, h = config.conv, config.hidden
        self.conv1 = nn.Conv1d(N_FEATURES, c, KERNEL)
        self.conv2 = nn.Conv1d(c, c, KERNEL)
        self.gru1 = nn.GRU(c, h, batch_first=True)
        self.gru2 = nn.GRU(h, h, batch_first=True)
        self.curves = nn.Linear(h + h, config.channels)
        self.phones = nn.Linear(h + h, 2 * N_PHONES + N_TOUCHES)
        self.drop = nn.Dropout(config.dropout)

    def initial(self, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Zeros: (conv1's past, conv2's past, gru1, gru2)."""
        c, h = self.config.conv, self.config.hidden
        return (
            torch.zeros(batch, N_FEATURES, KERNEL - 1),
            torch.zeros(batch, c, KERNEL - 1),
            torch.zeros(1, batch, h),
            torch.zeros(1, batch, h),
        )

    def forward(
        self, features: Tensor, past1: Tensor, past2: Tensor, h1: Tensor, h2: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """features[B, T, F] and the state before -> curves[B, T, C], phones[B, T, P], and the state after."""
        x = torch.cat([past1, features.transpose(1, 2)], dim=2)
        past1 = x[:, :, -(KERNEL - 1) :]
        x = torch.cat([past2, torch.relu(self.conv1(x))], dim=2)
        past2 = x[:, :, -(KERNEL - 1) :]
        x = torch.relu(self.conv2(x)).transpose(1, 2)
        a, h1 = self.gru1(self.drop(x), h1)
        b, h2 = self.gru2(self.drop(a), h2)
        y = self.drop(torch.cat([a, b], dim=2))
        return self.curves(y), self.phones(y), past1, past2, h1, h2
