/* The line: frames in, replies out, doubles recognised. */
#include <string.h>

#include "board.h"
#include "frame.h"
#include "internal.h"

static void send_frame(board_t *b, uint8_t *frame, uint16_t size) {
    uint8_t encoded[BOARD_MAX_ENCODED + 1u];
    (void)frame_put16(frame + size, frame_crc(frame, size));
    uint16_t n = frame_cobs_encode(frame, (uint16_t)(size + 2u), encoded);
    encoded[n++] = 0;
    if ((uint16_t)(BOARD_TX_SIZE - b->tx_size) < n) {
        b->stats.tx_dropped++;
        return;
    }
    for (uint16_t i = 0; i < n; i++) {
        b->tx[(uint16_t)(b->tx_head + b->tx_size + i) % BOARD_TX_SIZE] = encoded[i];
    }
    b->tx_size = (uint16_t)(b->tx_size + n);
}

uint16_t board_tx(board_t *b, uint8_t *out, uint16_t max) {
    uint16_t n = b->tx_size < max ? b->tx_size : max;
    for (uint16_t i = 0; i < n; i++) {
        out[i] = b->tx[(uint16_t)(b->tx_head + i) % BOARD_TX_SIZE];
    }
    b->tx_head = (uint16_t)((uint16_t)(b->tx_head + n) % BOARD_TX_SIZE);
    b->tx_size = (uint16_t)(b->tx_size - n);
    return n;
}

static bool has_own_reply(uint8_t type) {
    return type == BOARD_HELLO || type == BOARD_READ || type == BOARD_STATS || type == BOARD_GET_CONFIG ||
           type == BOARD_GET_SETUP;
}

static void write_ack(const board_t *b, const board_request_t *r, uint8_t ack[5]) {
    ack[0] = r->status;
    ack[1] = b->state;
    ack[2] = b->reason;
    ack[3] = r->channel;
    ack[4] = r->count;
}

static void handle(board_t *b, const uint8_t *frame, uint16_t size, uint16_t crc) {
    uint8_t type = frame[0], sequence = frame[1];
    uint8_t reply[BOARD_MAX_DECODED];
    uint16_t n = 2;
    board_request_t r = {frame + 2, (uint16_t)(size - 2u), BOARD_OK, BOARD_ALL_CHANNELS, 0};
    reply[0] = (uint8_t)(type | BOARD_REPLY);
    reply[1] = sequence;
    if (has_own_reply(type)) {
        uint16_t own = 0;
        if (!b->greeted && type != BOARD_HELLO) {
            r.status = BOARD_NOT_GREETED;
        } else {
            own = board_answer(b, type, &r, reply + 2);
        }
        if (own == 0u) {
            write_ack(b, &r, reply + 2);
            own = 5;
        }
        if (type == BOARD_HELLO) {
            b->last_known = false; /* a new host counts from where it likes */
        }
        n = (uint16_t)(n + own);
    } else {
        if (b->last_known && b->last_type == type && b->last_sequence == sequence && b->last_crc == crc) {
            b->stats.duplicates++;
            memcpy(reply + 2, b->last_ack, 5);
        } else {
            if (b->greeted) {
                board_obey(b, type, &r);
            } else {
                r.status = BOARD_NOT_GREETED;
            }
            write_ack(b, &r, b->last_ack);
            memcpy(reply + 2, b->last_ack, 5);
            b->last_type = type;
            b->last_sequence = sequence;
            b->last_crc = crc;
            b->last_known = true;
        }
        n = (uint16_t)(n + 5u);
    }
    if (r.status != BOARD_OK) {
        b->stats.refused++;
    }
    send_frame(b, reply, n);
}

static void end_of_frame(board_t *b) {
    uint16_t size = b->rx_size;
    bool too_long = b->rx_skip;
    b->rx_size = 0;
    b->rx_skip = false;
    if (size == 0u && !too_long) {
        return; /* zeros between frames mean nothing */
    }
    size = too_long ? 0u : frame_cobs_decode(b->rx, size);
    if (size < 4u) {
        b->stats.bad_framing++;
        return;
    }
    uint16_t crc = frame_get16(b->rx + size - 2u);
    if (crc != frame_crc(b->rx, (uint16_t)(size - 2u))) {
        b->stats.bad_crc++;
        return;
    }
    b->stats.frames_ok++;
    handle(b, b->rx, (uint16_t)(size - 2u), crc);
}

void board_rx(board_t *b, uint8_t byte) {
    if (byte == 0u) {
        end_of_frame(b);
    } else if (b->rx_size < BOARD_MAX_ENCODED) {
        b->rx[b->rx_size++] = byte;
    } else {
        b->rx_skip = true;
    }
}
