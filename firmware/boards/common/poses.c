#include "poses.h"

#include "../../core/frame.h"

#define SETUP_AT 4u
#define POSES_AT (SETUP_AT + 2u * BOARD_SETUP_KEYS)

uint16_t poses_of(const board_t *b, uint8_t channel) {
    uint16_t now_us = board_pulse_us(b, channel);
    if (now_us != 0u || channel >= b->n_channels) {
        return now_us;
    }
    return b->channels[channel].remembered_us;
}

void poses_encode(const board_t *b, uint32_t count, uint8_t channels, uint8_t *out) {
    uint8_t *p = frame_put32(out, count);
    for (uint8_t i = 0; i < BOARD_SETUP_KEYS; i++) {
        p = frame_put16(p, b->setup[i]);
    }
    for (uint8_t i = 0; i < channels; i++) {
        p = frame_put16(p, poses_of(b, i));
    }
    (void)frame_put16(p, frame_crc(out, (uint16_t)(p - out)));
}

uint32_t poses_count(const uint8_t *record, uint8_t channels) {
    uint16_t size = (uint16_t)(POSES_SIZE(channels) - 2u);
    if (frame_get16(record + size) != frame_crc(record, size)) {
        return 0;
    }
    return (uint32_t)frame_get16(record) | ((uint32_t)frame_get16(record + 2) << 16);
}

void poses_restore(board_t *b, const uint8_t *record, uint8_t channels) {
    for (uint8_t i = 0; i < BOARD_SETUP_KEYS; i++) {
        (void)board_restore_setup(b, i, frame_get16(record + SETUP_AT + 2u * i));
    }
    for (uint8_t i = 0; i < channels; i++) {
        board_restore_pulse(b, i, frame_get16(record + POSES_AT + 2u * i));
    }
}

uint16_t poses_change_us(const board_t *b, const uint8_t *record, uint8_t channels) {
    uint16_t largest = 0;
    for (uint8_t i = 0; i < channels; i++) {
        uint16_t was = frame_get16(record + POSES_AT + 2u * i), is = poses_of(b, i);
        uint16_t change = (uint16_t)(was > is ? was - is : is - was);
        largest = change > largest ? change : largest;
    }
    return largest;
}

static bool still(const board_t *b, bool *any_on) {
    bool moving = false;
    *any_on = false;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        *any_on = *any_on || (b->channels[i].flags & BOARD_CH_ON) != 0;
        moving = moving || (b->channels[i].flags & BOARD_CH_MOVING) != 0;
    }
    return !moving;
}

bool poses_due(poses_timer_t *t, const board_t *b, const uint8_t *saved, uint8_t channels) {
    bool on;
    uint32_t age_ms = b->uptime_ms - t->saved_ms;
    if (!still(b, &on)) {
        t->moved_ms = b->uptime_ms;
    }
    bool quiet = b->uptime_ms - t->moved_ms >= 1000u;
    uint32_t wait_s = !on || b->setup_changed ? POSES_OFF_S : (quiet ? POSES_STILL_S : POSES_MOVING_S);
    if (age_ms < 1000u * wait_s) {
        return false;
    }
    if (!b->setup_changed && poses_change_us(b, saved, channels) <= POSES_CHANGE_US) {
        return false;
    }
    t->saved_ms = b->uptime_ms;
    return true;
}
