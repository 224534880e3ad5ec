"""The emotion pad: a point of valence and arousal -> a mixture of the emotions that lie around it.

Where they lie follows the circumplex of affect (Russell, "A circumplex model of affect", J. Personality and
Social Psychology 39, 1980); the distance from the middle is the intensity. Anger and fear lie close
together there, so the page has a button for each emotion, too.
"""

import math
from typing import Final

from animaface.speech.emotion import EmotionMix

PLACES: Final[dict[str, tuple[float, float]]] = {
    "happiness": (0.92, 0.38), "surprise": (0.25, 0.97), "fear": (-0.42, 0.91), "anger": (-0.77, 0.64),
    "disgust": (-0.95, 0.30), "contempt": (-0.97, -0.22), "sadness": (-0.80, -0.60), "neutral": (0.75, -0.66),
}  # fmt: skip
"""(valence, arousal) at intensity 1; neutral lies where calm does."""
_STILL: Final = 0.06
"""So near the middle nothing is felt."""


def mix_at(valence: float, arousal: float) -> EmotionMix:
    """valence, arousal in -1..1 -> the two neighbours on the circle, shared by angle, as strong as far out."""
    strength = min(math.hypot(valence, arousal), 1.0)
    if strength < _STILL:
        return EmotionMix({})
    angle = math.atan2(arousal, valence)
    ring = sorted((math.atan2(a, v), name) for name, (v, a) in PLACES.items())
    after = next((k for k, (at, _) in enumerate(ring) if at > angle), 0)
    (high, next_name), (low, name) = ring[after], ring[after - 1]
    span = (high - low) % (2.0 * math.pi)
    share = ((angle - low) % (2.0 * math.pi)) / span
    shares = {name: (1.0 - share) * strength, next_name: share * strength}
    return EmotionMix({n: round(s, 3) for n, s in shares.items() if n != "neutral" and s > 1e-3})
