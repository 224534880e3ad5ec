"""Phones of a recording with its transcript, by PocketSphinx: an alignment independent of the product.

    python bench/align_phones.py IN.wav "what is said" OUT.json

Two passes: words, then phones inside them; a grid of 10 ms. Writes
{"transcript", "aligner", "phones": [[phone, start_s, end_s], ...]}.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from pocketsphinx import Decoder

FRAME_S = 0.01


def align(path: Path, transcript: str) -> list[tuple[str, float, float]]:
    """[(ARPAbet phone, start_s, end_s)] with SIL for pauses; 16 kHz mono wanted."""
    samples, rate = soundfile.read(path, dtype="int16")
    if rate != 16000 or samples.ndim != 1:
        raise SystemExit(f"{path}: wanted 16 kHz mono, found {rate} Hz, {samples.ndim} channels")
    decoder = Decoder(samprate=16000, loglevel="ERROR")
    decoder.set_align_text(transcript.lower())
    for _ in range(2):
        decoder.start_utt()
        decoder.process_raw(np.ascontiguousarray(samples).tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.get_alignment() is None:
            decoder.set_alignment()
    return [
        (phone.name, round(phone.start * FRAME_S, 3), round((phone.start + phone.duration) * FRAME_S, 3))
        for word in decoder.get_alignment()
        for phone in word
    ]


def main() -> None:
    """Command line."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    phones = align(Path(sys.argv[1]), sys.argv[2])
    out = {"transcript": sys.argv[2], "aligner": f"pocketsphinx {version('pocketsphinx')}", "phones": phones}
    Path(sys.argv[3]).write_text(json.dumps(out) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
