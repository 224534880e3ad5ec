/* Bytes to frames and back: COBS (Cheshire and Baker 1999) and CRC-16/CCITT-FALSE. */
#ifndef ANIMAFACE_FRAME_H
#define ANIMAFACE_FRAME_H

#include <stdint.h>

/* One byte more into a CRC that starts at 0xFFFF. */
uint16_t frame_crc_byte(uint16_t crc, uint8_t byte);
uint16_t frame_crc(const uint8_t *data, uint16_t size);
/* Decode in place; returns the decoded size, 0 where it is not valid COBS. */
uint16_t frame_cobs_decode(uint8_t *data, uint16_t size);
/* Encode at most 253 bytes into `out` (size + 1 bytes, no delimiter); returns the encoded size. */
uint16_t frame_cobs_encode(const uint8_t *data, uint16_t size, uint8_t *out);

static inline uint16_t frame_get16(const uint8_t *p) { return (uint16_t)(p[0] | ((uint16_t)p[1] << 8)); }
static inline uint8_t *frame_put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v & 0xFFu);
    p[1] = (uint8_t)(v >> 8);
    return p + 2;
}
static inline uint8_t *frame_put32(uint8_t *p, uint32_t v) {
    p = frame_put16(p, (uint16_t)(v & 0xFFFFu));
    return frame_put16(p, (uint16_t)(v >> 16));
}

#endif
