"""Puts second stage and program together and packs them for a Pico's drive (UF2, family RP2040).

python3 uf2.py boot2.bin program.bin image.uf2
"""

import struct
import sys
from pathlib import Path

FLASH, PAGE, FAMILY = 0x10000000, 256, 0xE48BFF56


def crc32(data: bytes) -> int:
    """CRC-32/MPEG-2, as the boot ROM checks the second stage."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def flash_image(boot2: bytes, program: bytes) -> bytes:
    """Contents of the flash from its beginning."""
    if len(boot2) > 252:
        raise SystemExit(f"boot2 has {len(boot2)} bytes, 252 is the most")
    stage = boot2.ljust(252, b"\0")
    return stage + struct.pack("<I", crc32(stage)) + program


def uf2(image: bytes) -> bytes:
    """Blocks of 256 bytes in 512."""
    image = image.ljust(-(-len(image) // PAGE) * PAGE, b"\0")
    n = len(image) // PAGE
    out = []
    for k in range(n):
        head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, FLASH + k * PAGE, PAGE, k, n, FAMILY)
        out.append(
            (head + image[k * PAGE : (k + 1) * PAGE]).ljust(508, b"\0") + struct.pack("<I", 0x0AB16F30)
        )
    return b"".join(out)


if __name__ == "__main__":
    stage_file, program_file, out_file = map(Path, sys.argv[1:4])
    out_file.write_bytes(uf2(flash_image(stage_file.read_bytes(), program_file.read_bytes())))
