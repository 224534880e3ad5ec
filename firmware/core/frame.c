#include "frame.h"

uint16_t frame_crc_byte(uint16_t crc, uint8_t byte) {
    /* Table-free and shift-only: some 20 cycles a byte on AVR. */
    uint8_t x = (uint8_t)((crc >> 8) ^ byte);
    x = (uint8_t)(x ^ (x >> 4));
    return (uint16_t)((uint16_t)(crc << 8) ^ (uint16_t)((uint16_t)x << 12) ^ (uint16_t)((uint16_t)x << 5) ^ x);
}

uint16_t frame_crc(const uint8_t *data, uint16_t size) {
    uint16_t crc = 0xFFFFu;
    for (uint16_t i = 0; i < size; i++) {
        crc = frame_crc_byte(crc, data[i]);
    }
    return crc;
}

uint16_t frame_cobs_decode(uint8_t *data, uint16_t size) {
    uint16_t in = 0, out = 0;
    while (in < size) {
        uint8_t code = data[in++];
        if (code == 0u || (uint16_t)(in + code - 1u) > size) {
            return 0;
        }
        for (uint8_t i = 1; i < code; i++) {
            if (data[in] == 0u) {
                return 0;
            }
            data[out++] = data[in++]; /* out stays behind in: safe in place */
        }
        if (code != 0xFFu && in < size) {
            data[out++] = 0;
        }
    }
    return out;
}

uint16_t frame_cobs_encode(const uint8_t *data, uint16_t size, uint8_t *out) {
    uint16_t code_at = 0, write = 1;
    uint8_t code = 1;
    for (uint16_t i = 0; i < size; i++) {
        if (data[i] != 0u) {
            out[write++] = data[i];
            code++;
        } else {
            out[code_at] = code;
            code_at = write++;
            code = 1;
        }
    }
    out[code_at] = code;
    return write;
}
