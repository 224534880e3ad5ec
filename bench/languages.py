"""Closure and offset in many languages: espeak-ng voices with their own phone times.

    python bench/languages.py [--weights FILE]

Twelve languages, sentences that no training has seen, three throats each. Counted per language: m b p whose
lips are shut for 40 ms (jawOpen - mouthClose and every lip lift at most .03), open vowels shut inside, f v
with the lip near the teeth, and the middle of each closure against the middle of its sound.

Human recordings beside them where they are installed: days and months in French, Spanish and Russian
(Debian's asterisk-core-sounds-{fr,es,ru}-g722, CC BY-SA, scored only; needs ffmpeg), their phone times by
likeness to espeak-ng (align_voice.py). Writes bench/results/languages.json.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
from align_voice import align
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.robot.face.take import Take
from animaface.speech.network import SpeechNetwork
from animaface.speech.phones import BILABIAL, PHONES
from animaface.speech.stream import predict
from animaface.speech.train.espeak import shared_espeak
from animaface.speech.train.score import Sealed, lip_teeth_gap, sealed

HERE = Path(__file__).resolve().parent
THROATS: Final = ("", "+f2", "+m3")
SENTENCES: Final = {
    "en-gb": ["My baby brother bought a big apple pie.", "Please put the map above the lamp.",
              "Pam may help Bob on Monday morning."],
    "de": ["Am Abend backt Oma Pfannkuchen.", "Der Papagei im Baum mag Bananen.", "Mein Bub probiert die Lampe."],
    "fr-fr": ["Le bébé mange un bon biscuit.", "Papa prépare le repas à midi.", "Mes amis arrivent samedi."],
    "es": ["El bebé come una manzana.", "Mi abuela prepara la comida.", "Pablo viaja a Bilbao el lunes."],
    "it": ["La bimba mangia una mela.", "Papà ha comprato un bel libro.", "Mio nonno abita a Palermo."],
    "ru": ["Бабушка любит пить молоко.", "Папа купил билет на автобус.", "Мы пошли в большой парк."],
    "pl": ["Babcia ma białego psa.", "Poproszę bilet do Poznania.", "Mój pan mówi po polsku."],
    "nl": ["De baby lacht om de bal.", "Mijn opa plukt een appel.", "Bram komt maandag op bezoek."],
    "pt": ["O bebê come uma maçã.", "Minha avó prepara um bolo.", "Paulo mora em Lisboa."],
    "sv": ["Bebisen sover på mammas arm.", "Pappa plockar blåbär i parken.", "Min mormor bor i Umeå."],
    "tr": ["Bebek annesini bekliyor.", "Pembe kalem masanın üstünde.", "Bu sabah parka gidebiliriz."],
    "fi": ["Mummo paistaa lettuja pannulla.", "Pappi puhuu mummon kanssa.", "Ostimme maanantaina omenapiirakan."],
    "hi": ["माँ बाज़ार में आम बेचती है।", "मेरा मित्र पानी भर रहा है।", "बाबा ने पेड़ पर पंछी देखा।"],
}  # fmt: skip
DAYS_AND_MONTHS: Final = {
    "fr-fr": ("fr_CA_f_June",
              ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
              ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
               "novembre", "décembre"]),
    "es": ("es_MX_f_Allison",
           ["domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"],
           ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
            "noviembre", "diciembre"]),
    "ru": ("ru_RU_f_IvrvoiceRU",
           ["воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"],
           ["января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября",
            "ноября", "декабря"]),
}  # fmt: skip
Result = dict[str, Any]


def closure_offsets_ms(take: Take, phones: list[tuple[str, float, float]]) -> list[float]:
    """Middle of the shut stretch nearest to each m b p, less the middle of the sound; positive = late."""
    t = np.arange(0.0, take.duration_s, 0.001)
    shut = sealed(take, t)
    edges = np.flatnonzero(np.diff(shut.astype(int), prepend=0, append=0))
    middles = (edges[::2] + edges[1::2]) / 2 * 0.001
    out = []
    for name, start, end in phones:
        if name in BILABIAL and len(middles):
            off = middles - (start + end) / 2
            nearest = float(off[np.abs(off).argmin()])
            if abs(nearest) < 0.15:
                out.append(1000 * nearest)
    return out


def measured(language: str, texts: list[str], network: SpeechNetwork) -> Result:
    """One language, every throat."""
    counts, offsets, teeth = Sealed(), [], []
    right = frames = 0
    for throat in THROATS:
        for text in texts:
            spoken = shared_espeak().say(text, language + throat, words_a_minute=160)
            heard = predict(spoken.samples, network=network)
            take = heard.take()
            counts.add(take, spoken.phones)
            offsets += closure_offsets_ms(take, spoken.phones)
            teeth += lip_teeth_gap(take, spoken.phones)
            right += _lip_class_right(heard.phones, heard.time_s, spoken.phones)
            frames += len(heard)
    return {
        **counts.result(),
        "offset_ms": {
            "mean": _mean(offsets),
            "sd": round(float(np.std(offsets)), 1),
            "counted": len(offsets),
        },
        "lip_teeth_gap_median": round(float(np.median(teeth)), 4) if teeth else None,
        "bilabial_or_not_right": round(right / frames, 4),
    }


def recorded(language: str, sounds: Path, network: SpeechNetwork) -> Result | None:
    """Human words of one language; None where they are not installed."""
    folder, days, months = DAYS_AND_MONTHS[language]
    files = {f"day-{i}": word for i, word in enumerate(days)} | {f"mon-{i}": w for i, w in enumerate(months)}
    counts, offsets, words = Sealed(), [], 0
    for name, word in files.items():
        file = sounds / folder / "digits" / f"{name}.g722"
        if not file.is_file():
            continue
        samples = np.concatenate([np.zeros(3200, np.float32), _decoded(file), np.zeros(3200, np.float32)])
        take = predict(samples, network=network).take()
        phones = align(samples, word, language)
        counts.add(take, phones)
        offsets += closure_offsets_ms(take, phones)
        words += 1
    if not words:
        return None
    offset = {"mean": _mean(offsets), "sd": round(float(np.std(offsets)), 1), "counted": len(offsets)}
    return {**counts.result(), "offset_ms": offset, "words": words, "lip_teeth_gap_median": None}


def _decoded(path: Path) -> NDArray[np.float32]:
    """A .g722 file as 16 kHz samples."""
    said = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-f", "f32le", "-ar", "16000", "-ac", "1", "-"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    return np.frombuffer(said, np.float32)


def _lip_class_right(
    heard: NDArray[np.float32], time_s: NDArray[np.float64], phones: list[tuple[str, float, float]]
) -> int:
    said = np.zeros(len(time_s), bool)
    for name, start, end in phones:
        said[(time_s >= start) & (time_s < end)] = name in BILABIAL
    names = np.array(PHONES)[heard.argmax(axis=1)]
    return int((np.isin(names, list(BILABIAL)) == said).sum())


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 1) if values else 0.0


def main() -> None:
    """Measure, print, write."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--recordings", type=Path, default=Path("/usr/share/asterisk/sounds"))
    ap.add_argument("--out", type=Path, default=HERE / "results" / "languages.json")
    a = ap.parse_args()
    network = SpeechNetwork(a.weights)
    results = {language: measured(language, texts, network) for language, texts in SENTENCES.items()}
    humans = {f"{n}, human words": recorded(n, a.recordings, network) for n in DAYS_AND_MONTHS}
    results |= {n: r for n, r in humans.items() if r is not None}
    table = Table("language", "m b p shut", "of", "open vowels shut", "of", "offset ms", "sd", "f v gap")
    for language, r in results.items():
        off = r["offset_ms"]
        table.add_row(*(str(x) for x in (
            language, r["bilabial_sealed"], r["bilabials"], r["open_vowel_sealed"], r["open_vowels"],
            off["mean"], off["sd"], r["lip_teeth_gap_median"])))  # fmt: skip
    Console(width=100).print(table)
    a.out.parent.mkdir(exist_ok=True)
    told = {"trained": network.metadata["training"]["date"], "languages": results}
    a.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
