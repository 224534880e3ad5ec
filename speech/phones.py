"""The phone set that the speech network hears: ARPAbet's 39 and silence, with their lip classes."""

from typing import Final

PHONES: Final[tuple[str, ...]] = (
    "SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW",
    "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""Order of the likelihoods; SIL first."""
PHONE_INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(PHONES)}
N_PHONES: Final = len(PHONES)

BILABIAL: Final = frozenset({"M", "B", "P"})
"""The lips must meet."""
LABIODENTAL: Final = frozenset({"F", "V"})
"""The lower lip must touch the upper teeth."""
SIBILANT: Final = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
"""The teeth come together: the jaw narrows."""
ROUNDED: Final = frozenset({"UW", "OW", "OY", "UH", "W", "SH", "ZH", "CH", "JH", "AO"})
"""The lips are pushed forward; they start early and take over their neighbours' lips."""
OPEN_VOWEL: Final = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "OW"})
"""Vowels that must never be swallowed by a closure."""
VOWEL: Final = OPEN_VOWEL | {"ER", "EY", "IH", "IY", "OY", "UH", "UW"}
TONGUE_ONLY: Final = frozenset({"L", "N", "T", "D", "K", "G", "NG"})
"""Never shape the lips; they borrow their neighbours'."""


def phone_class(name: str) -> str:
    """ARPAbet of a dictionary or aligner ('AH0', 'pau', '+SPN+') -> a name of PHONES."""
    bare = name.upper().rstrip("012")
    if bare in PHONE_INDEX:
        return bare
    return {"AX": "AH", "AXR": "ER", "IX": "IH", "UX": "UW", "EL": "L", "EM": "M", "EN": "N", "DX": "T",
            "HV": "HH", "WH": "W", "NX": "N"}.get(bare, "SIL")  # fmt: skip
