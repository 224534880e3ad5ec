"""How far a sound is speech at all: what music or a machine says in nobody's phones moves the mouth less.

A voice is heard as one phone at a time, however strange it is; music as a little of many. The likelihood of the
likeliest phone, as a share of all that is not silence and followed over half a second, tells them apart: voices stay
above .434 (bench/closure.py's groups, 99.9 % of the frames), chords sink to .37 to .45 within a second.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.speech.phones import PHONES

_HEARD: Final = slice(1, len(PHONES))
"""All but silence, which comes first."""
_FOLLOWED_S: Final = 0.5
_NO_SPEECH, _SPEECH = 0.395, 0.435
_AT_FIRST: Final = 0.5


class SpeechTrust:
    """Streaming and causal; begins trustful, so that nobody's first word is small."""

    def __init__(self) -> None:
        self._likeliest = _AT_FIRST

    def of(self, now: NDArray[np.float32]) -> NDArray[np.float32]:
        """Likelihoods now[K, P] of phones -> [K] 0 for no speech .. 1 for speech; silence changes nothing."""
        step = 1.0 / (_FOLLOWED_S * FRAME_RATE_HZ)
        out = []
        for row in now[:, _HEARD].tolist():  # one frame at a time as a rule: lists are quicker than arrays
            voiced = sum(row)
            by = step * voiced
            self._likeliest += by * (max(row) / (voiced + 1e-6) - self._likeliest)
            out.append(min(1.0, max(0.0, (self._likeliest - _NO_SPEECH) / (_SPEECH - _NO_SPEECH))))
        return np.array(out, np.float32)
