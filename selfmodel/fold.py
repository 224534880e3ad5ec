"""The self-model as the run-time inverse needs it: settled, folded into constants, its ensemble condensed to one member."""

from typing import Final

import numpy as np
import torch
from numpy.polynomial.chebyshev import cheb2poly
from torch import Tensor
from torch.nn.functional import silu

from animaface.selfmodel.linear import solve_positive
from animaface.selfmodel.network import SelfModel

OF_MEMBER: Final = ("w1", "b1", "w2", "b2", "w3")
_RIDGE: Final = 1e-5


def fold(
    model: SelfModel, held: list[float], plays: tuple[float, ...], neutral_u: np.ndarray
) -> dict[str, Tensor]:
    """The settled self-model as constants: `lead` from pieces to positions, then a two-layer network of their powers.

    Pieces of each actuator (Refinement._pieces): off rest, crept, crept upwards, and per play: in it, in it upwards.
    Columns of `lead` per block: positions of the actuators it sees; `crept` says which actuators those are. `held`: the
    share of a move that still creeps, per creep. w1, b1, w2, b2, w3 of all members: [members, blocks, ...].
    """
    s, n_plays = model.shape, len(plays)
    with torch.no_grad():
        shifts, degree = model.shifts(), s.degree
        most = int((model.seen > 0.0).sum(dim=1).max())
        lead = torch.zeros(3 + 2 * n_plays, s.n_actuators, s.n_blocks, most)
        lead_bias = torch.zeros(s.n_blocks, most)
        crept = torch.zeros(
            s.n_blocks, most, dtype=torch.long
        )  # 0 where none is left; weights there are 0, too
        series = torch.zeros(degree + 1, degree + 1)  # [Chebyshev, power]
        for k in range(degree + 1):
            series[k, : k + 1] = torch.as_tensor(cheb2poly([0.0] * k + [1.0]), dtype=torch.float32)
        left = torch.tensor(held)
        w1 = model.w1.view(s.n_members, s.n_blocks, s.n_actuators, degree + s.n_creeps, -1)
        straight = model.linear.view(1, s.n_blocks, s.n_actuators, degree + s.n_creeps, -1)
        folded1 = torch.zeros(s.n_members, s.n_blocks, degree + 1, most, w1.shape[-1])
        folded0 = torch.zeros(1, s.n_blocks, degree + 1, most, s.n_components)
        b1 = model.b1.view(s.n_members, s.n_blocks, 1, -1).clone()
        bias = model.bias.view(1, s.n_blocks, 1, -1).clone()
        rest = model.stands(torch.as_tensor(neutral_u, dtype=torch.float32))
        for r in range(s.n_blocks):
            for k, i in enumerate(torch.nonzero(model.seen[r] > 0.0)[:, 0].tolist()):
                up, down = shifts[r, i, : s.n_memories], shifts[r, i, s.n_memories :]
                creep = (left * down[n_plays:]).sum(), (left * (up - down)[n_plays:]).sum()
                play = [x for j in range(n_plays) for x in (down[j], up[j] - down[j])]
                seen = model.seen[r, i]
                lead[:, i, r, k] = 2.0 * torch.stack([1.0 + model.stretch[i], *creep, *play])
                crept[r, k] = i
                lead_bias[r, k] = 2.0 * rest[i] - 1.0
                for whole, into, constant in ((seen * w1[:, r, i], folded1[:, r, :, k], b1[:, r]), (seen * straight[:, r, i], folded0[:, r, :, k], bias[:, r])):  # fmt: skip
                    into[:, :degree] = torch.einsum("mdh,dp->mph", whole[:, :degree], series[1:, 1:])
                    into[:, degree] = torch.einsum("mjh,j->mh", whole[:, degree:], left)
                    constant += torch.einsum("mdh,d->mh", whole[:, :degree], series[1:, 0]).unsqueeze(1)
        return {
            "lead": lead.flatten(2).flatten(0, 1), "lead_bias": lead_bias.flatten(), "crept": crept.flatten(),
            "w1": folded1.flatten(2, 3), "b1": b1, "straight": folded0[0].flatten(1, 2), "bias": bias[0],
            "w2": model.w2.view(s.n_members, s.n_blocks, *model.w2.shape[1:]),
            "b2": model.b2.view(s.n_members, s.n_blocks, 1, -1),
            "w3": model.w3.view(s.n_members, s.n_blocks, *model.w3.shape[1:]),
        }  # fmt: skip


def condensed(folded: dict[str, Tensor], f: Tensor) -> dict[str, Tensor]:
    """One member instead of an ensemble: the same function, nearly, at a fraction of the weights.

    Per block the hidden layers of that member which serves best, with output layers fitted to the mean of all at poses
    whose features are f[blocks, B, features]: least squares from the member's own ones, which hold where no pose tells.
    -> what that changes of `folded`.
    """
    with torch.no_grad():
        first = silu(f @ folded["w1"] + folded["b1"])  # [members, blocks, B, hidden]
        hidden = first + silu(first @ folded["w2"] + folded["b2"])
        own = hidden @ folded["w3"]
        wanted = (own.mean(dim=0) - own).double()
        members, n_blocks, poses, n_hidden = hidden.shape
        one = torch.ones(n_blocks, poses, 1)
        best = torch.full((n_blocks,), torch.inf)
        out = {name: folded[name][0].clone() for name in OF_MEMBER}
        straight, bias = folded["straight"].clone(), folded["bias"].clone()
        for m in range(members):
            x = torch.cat([hidden[m], f, one], dim=2).double()
            gram = x.transpose(1, 2) @ x + _RIDGE * poses * torch.eye(x.shape[2])
            change = solve_positive(gram, x.transpose(1, 2) @ wanted[m])
            left = ((x @ change - wanted[m]) ** 2).sum(dim=(1, 2)).float()
            for r in torch.nonzero(left < best)[:, 0].tolist():
                best[r] = left[r]
                for name, value in out.items():
                    value[r] = folded[name][m, r]
                out["w3"][r] += change[r, :n_hidden]
                straight[r] = folded["straight"][r] + change[r, n_hidden:-1]
                bias[r] = folded["bias"][r] + change[r, -1]
        return {**out, "straight": straight, "bias": bias}
