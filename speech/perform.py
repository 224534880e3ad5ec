"""A voice -> a performing face: the speech network, the emotions and the life of a face, mixed.

`Performer` streams; `perform` gives a take of a whole recording. Both are one code: a recording only
grants more anticipation, so that a face may open its mouth in surprise and still close it in time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, FRAME_RATE_HZ, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take
from animaface.speech.emotion import EMOTIONS, NEUTRAL, EmotionLayer, EmotionMix, parse_emotion
from animaface.speech.layers import OPENERS, PauseGate, RestGate, mix
from animaface.speech.life import Life, LifeOptions
from animaface.speech.life.curves import min_jerk
from animaface.speech.prosody import ProsodyFrames, ProsodyTracker
from animaface.speech.sound import SAMPLE_RATE_HZ, Sound
from animaface.speech.style import AUTO as AUTO_STYLE
from animaface.speech.style import Style, StyleListener, find_style, styled

if TYPE_CHECKING:
    from animaface.speech.hearing import FeelingListener

Array = NDArray[np.float64]
Emotion = str | EmotionMix | Sequence[tuple[float, str | EmotionMix]]
"""'happy:0.7', 'auto', a mix, or cues [(time_s, emotion), ...] for one that changes."""
FILE_ANTICIPATION_S: Final = 0.25
SETTLE_S: Final = 0.75
"""A performance ends so long after its sound, at rest."""
_FADE_S = 0.6
_CHUNK = 10 * SAMPLE_RATE_HZ
"""Hours of sound are worked through in such pieces."""
_QUIET_S, _REST_S, _SURELY_REST_S = 0.3, 0.6, 2.0
"""Silence after which an expression may open the mouth; speech comes to rest; even if the network hears more."""
_MOST_AT_REST = 0.08
_STIRRING = 0.04
"""Loudness above which a voice may be about to start."""
_BEAT_LEAD_S = 0.05
"""Where the voice is seen coming, head and brows start this much before a stress, to peak with it."""
_LIVE_PAUSE = 0.35
_TOUCHING = ("M", "B", "P", "F", "V")


class SpeechFramesLike(Protocol):
    """time_s[K], values[K, 55], phones[K, P] likelihoods."""

    @property
    def time_s(self) -> NDArray[np.float64]:
        """[K] s, of each frame."""
        ...

    @property
    def values(self) -> NDArray[np.floating]:
        """[K, 55] blendshapes and head."""
        ...

    @property
    def phones(self) -> NDArray[np.floating]:
        """[K, P] likelihoods."""
        ...


class SpeechSource(Protocol):
    """The speech network, as far as a performer needs it."""

    @property
    def phone_names(self) -> Sequence[str]:
        """[P] names of the likelihoods."""
        ...

    def push(self, samples: NDArray[np.float32]) -> SpeechFramesLike:
        """samples[n] at 16 kHz -> the frames that can be told by now."""
        ...

    def flush(self) -> SpeechFramesLike:
        """The frames still held back, as if silence followed."""
        ...


@dataclass(frozen=True)
class PerformedFrames:
    """time_s[K] of the sound, values[K, 55] of the face, phones[K, P] likelihoods, and the prosody."""

    time_s: Array
    values: Array
    phones: Array
    prosody: ProsodyFrames

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True)
class Performance:
    """A take with what was heard: phones[T, P] likelihoods in the order of phone_names, and the prosody."""

    take: Take
    phones: Array
    phone_names: tuple[str, ...]
    prosody: ProsodyFrames


class Performer:
    """Push sound in chunks of any size, get frames of a face; same chunks or not, same frames.

    emotion: see `Emotion`. seed: of everything that is random. anticipation_s: how long frames are held
    back beyond the network's look-ahead to see the voice coming; 0 when live. life: which layers live.
    style: of articulation, see `animaface.speech.style`; 'auto' is the speaker's own, learned while they talk.
    """

    def __init__(
        self,
        *,
        emotion: Emotion = NEUTRAL,
        seed: int = 0,
        anticipation_s: float = 0.0,
        life: LifeOptions | None = None,
        speech: SpeechSource | None = None,
        style: str | Style = "plain",
    ) -> None:
        self.anticipation_s = anticipation_s
        self._speech = speech if speech is not None else _network()
        self._resting = np.zeros(N_CHANNELS) if speech is not None else _resting()
        self.phone_names = tuple(self._speech.phone_names)
        self._touching = [i for i, name in enumerate(self.phone_names) if name in _TOUCHING]
        self._silence = [i for i, name in enumerate(self.phone_names) if name == "SIL"]
        self._prosody = ProsodyTracker()
        self._ahead = round(anticipation_s * FRAME_RATE_HZ)
        self._beat_lead = min(self._ahead, round(_BEAT_LEAD_S * FRAME_RATE_HZ))
        self._pause = PauseGate(1.0 if self._ahead >= round(0.2 * FRAME_RATE_HZ) else _LIVE_PAUSE)
        self._rest = RestGate()
        self._cues = _cues(emotion)
        self._emotion = EmotionLayer()
        self._life = Life(seed, life)
        self._speaker = StyleListener() if style == AUTO_STYLE else None
        given = Style() if style == AUTO_STYLE else find_style(style) if isinstance(style, str) else style
        self._style = np.array(astuple(given))
        self._factors = np.ones((0, len(self._style)))
        self._listener: FeelingListener | None = None
        self._felt = np.zeros((0, len(EMOTIONS) - 1))
        self._heard = ProsodyFrames.silence(0)
        self._values, self._phones = np.zeros((0, N_CHANNELS)), np.zeros((0, len(self.phone_names)))
        self._finished = False

    def set_emotion(self, emotion: str | EmotionMix) -> None:
        """From the next frame on; later cues are forgotten."""
        self._cues = [(0.0, _mix_of(emotion))]

    def push(self, samples: NDArray[np.float32]) -> PerformedFrames:
        """samples[n] mono at 16 kHz -> the frames that can be told by now."""
        if self._finished:
            raise InputError(
                "this performer has finished", next_step="make a new Performer for the next sound"
            )
        samples = _checked(samples)
        self._feel(samples)
        return self._take_in(self._speech.push(samples), self._prosody.push(samples))

    def finish(self) -> PerformedFrames:
        """The frames still held back; nothing can be pushed afterwards."""
        self._finished = True
        frames = self._speech.flush()
        missing = len(self._values) + len(frames.values) - len(self._heard)
        silence = np.zeros(max(0, missing + 3 + self._beat_lead) * SAMPLE_RATE_HZ // 60, dtype=np.float32)
        self._feel(silence)
        return self._take_in(frames, self._prosody.push(silence), last=True)

    def _feel(self, samples: NDArray[np.float32]) -> None:
        """Listen for style, and for feeling from the moment on that somebody asks for it."""
        if self._speaker is not None:
            self._factors = np.concatenate([self._factors, self._speaker.push(samples)])
        if self._listener is None and any(
            mix.heard > 0.0 for mix in (self._emotion.mix, *(m for _, m in self._cues))
        ):
            from animaface.speech.hearing import FeelingListener  # loads its network: only where it is wanted

            self._listener = FeelingListener()
            # frames of sound that nobody listened to
            self._felt = np.zeros((len(self._heard), self._felt.shape[1]))
        if self._listener is not None:
            self._felt = np.concatenate([self._felt, self._listener.push(samples).intensity])

    def _take_in(
        self, frames: SpeechFramesLike, heard: ProsodyFrames, *, last: bool = False
    ) -> PerformedFrames:
        self._values = np.concatenate([self._values, np.asarray(frames.values, dtype=np.float64)])
        self._phones = np.concatenate([self._phones, np.asarray(frames.phones, dtype=np.float64)])
        self._heard = self._heard.joined(heard)
        held = 0 if last else self._ahead
        n = max(0, min(len(self._values), len(self._heard) - held))
        out = self._perform(n)
        self._values, self._phones, self._heard = self._values[n:], self._phones[n:], self._heard[n:]
        self._felt, self._factors = self._felt[n:], self._factors[n:]
        return out

    def _factors_of(self, n: int) -> Array:
        """[n, 4] of the style; what is not heard yet is like the last that is."""
        if self._speaker is None or not len(self._factors):
            return np.repeat(self._style[None], n, axis=0)
        return np.asarray(self._factors[np.minimum(np.arange(n), len(self._factors) - 1)])

    @property
    def style(self) -> Style:
        """The style at present: the one given, or what was learned of the speaker."""
        return self._speaker.style if self._speaker is not None else Style(*(float(x) for x in self._style))

    def _felt_on(self, part: slice) -> Array | None:
        """[K, 7] intensities heard; frames that are not judged yet are like the last one that is."""
        if self._listener is None:
            return None
        wanted = np.arange(part.start, part.stop)
        if not len(self._felt):
            return np.zeros((len(wanted), self._felt.shape[1]))
        return np.asarray(self._felt[np.minimum(wanted, len(self._felt) - 1)])

    def _perform(self, n: int) -> PerformedFrames:
        """The first [n] frames of what is held."""
        heard = self._heard[:n]
        if n == 0:
            return PerformedFrames(heard.time_s, self._values[:0], self._phones[:0], heard)
        silent = ~self._voice_within(n)
        awake = self._rest.advance(silent & self._rests(heard))[:, None]
        speech = self._resting + awake * (self._values[:n] - self._resting)
        quiet = silent & (heard.quiet_s >= _QUIET_S)
        touch = self._phones[:n, self._touching].sum(axis=1)
        pause = self._pause.advance(quiet)
        factors = self._factors_of(n)
        speech = styled(speech, factors)
        values = np.zeros((n, N_CHANNELS))
        for part in self._between_cues(heard.time_s):
            mood = self._emotion.advance(heard[part], self._felt_on(part))
            mood = replace(mood, tempo=mood.tempo * factors[part, 3])
            lead = slice(part.start + self._beat_lead, part.stop + self._beat_lead)
            life = self._life.advance(self._heard[lead], mood)
            values[part] = mix(speech[part], touch[part], pause[part], mood, life)
        return PerformedFrames(heard.time_s, values, self._phones[:n], heard)

    def _voice_within(self, n: int) -> NDArray[np.bool_]:
        """[n] is there voice on the frame or within the anticipation after it."""
        voice = np.concatenate([self._heard.quiet_s <= 0.0, np.zeros(self._ahead, bool)])
        so_far = np.concatenate([[0], np.cumsum(voice)])
        return np.asarray(so_far[self._ahead + 1 : self._ahead + 1 + n] > so_far[:n])

    def _rests(self, heard: ProsodyFrames) -> NDArray[np.bool_]:
        """[K] long silent, and the network hears silence too; after a while its doubts count no more."""
        network_agrees = self._phones[: len(heard), self._silence].sum(axis=1) >= 0.5
        quiet_s = np.where(heard.loudness < _STIRRING, heard.quiet_s, 0.0)
        rests: NDArray[np.bool_] = (quiet_s >= _REST_S) & (network_agrees | (quiet_s >= _SURELY_REST_S))
        return rests

    def _between_cues(self, time_s: Array) -> Iterator[slice]:
        """Parts of time_s[K] between cues; sets the emotion of each part before it is given out."""
        first = 0
        while first < len(time_s):
            while self._cues and self._cues[0][0] <= time_s[first]:
                self._emotion.set(self._cues.pop(0)[1])
            end = int(np.searchsorted(time_s, self._cues[0][0])) if self._cues else len(time_s)
            yield slice(first, end)
            first = end


def perform(
    sound: Sound,
    *,
    emotion: Emotion = NEUTRAL,
    seed: int = 0,
    life: LifeOptions | None = None,
    speech: SpeechSource | None = None,
    style: str | Style = "plain",
) -> Performance:
    """A whole recording, ending at rest SETTLE_S after its last sample. Time 0 = start of the sound."""
    performer = Performer(
        emotion=emotion, seed=seed, anticipation_s=FILE_ANTICIPATION_S, life=life, speech=speech, style=style
    )
    samples = np.append(sound.samples, np.zeros(round(SETTLE_S * SAMPLE_RATE_HZ), dtype=np.float32))
    parts = [performer.push(samples[i : i + _CHUNK]) for i in range(0, len(samples), _CHUNK)]
    parts.append(performer.finish())
    time_s = np.concatenate([p.time_s for p in parts])
    end_s = len(sound.samples) / SAMPLE_RATE_HZ + SETTLE_S
    kept = time_s <= end_s + 1e-9
    left_s = time_s[kept][-1] - time_s[kept]
    fade = np.array([min_jerk(left / _FADE_S) for left in left_s.tolist()])
    values = np.concatenate([p.values for p in parts])[kept] * fade[:, None]
    phones = np.concatenate([p.phones for p in parts])[kept]
    heard = ProsodyFrames(np.concatenate([p.prosody.table for p in parts])[kept])
    notes = {"emotion": _described(emotion), "seed": str(seed), "style": str(style), "sound": sound.source}
    return Performance(Take(time_s[kept], values, notes), phones, performer.phone_names, heard)


def _checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples as the layers want them; what is not finite is silence, so that a drop-out passes."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise InputError(
            f"wanted samples[n] of floats in -1..1 at 16 kHz, found {samples.dtype}{list(samples.shape)}",
            next_step="read the file with speech.sound.read_sound, a stream through speech.sound.MonoStream",
        )
    if not np.abs(samples).max(initial=0.0) <= 1.0:  # NaN comes here too
        samples = np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
    return samples.astype(np.float32, copy=False)


def _mix_of(emotion: str | EmotionMix) -> EmotionMix:
    return parse_emotion(emotion) if isinstance(emotion, str) else emotion


def _cues(emotion: Emotion) -> list[tuple[float, EmotionMix]]:
    if isinstance(emotion, str | EmotionMix):
        return [(0.0, _mix_of(emotion))]
    return sorted(((float(at_s), _mix_of(e)) for at_s, e in emotion), key=lambda cue: cue[0])


def _described(emotion: Emotion) -> str:
    return "; ".join(f"{at_s:g} s {e}" if at_s else str(e) for at_s, e in _cues(emotion))


def _network() -> SpeechSource:
    from animaface.speech.stream import SpeechStream  # loads onnxruntime: only where a network is wanted

    return SpeechStream()


@cache
def _resting() -> Array:
    """[55] how the network's mouth lies in silence: its corners and its press, lips and jaw closed.

    Speech comes to rest there and not at zero, so that the mouth need not move at the end of every phrase.
    """
    frames = _network().push(np.zeros(SAMPLE_RATE_HZ, dtype=np.float32))
    pose = np.clip(np.median(np.asarray(frames.values, dtype=np.float64)[-20:], axis=0), 0.0, _MOST_AT_REST)
    pose[OPENERS] = 0.0
    pose[ARKIT_INDEX["mouthClose"]] = 0.0
    pose.setflags(write=False)
    return pose
