/* What each command does. Sizes and ranges are checked before anything changes. */
#include <string.h>

#include "board.h"
#include "frame.h"
#include "internal.h"
#include "motion.h"

static bool refuse(board_request_t *r, uint8_t status, uint8_t channel) {
    r->status = status;
    r->channel = channel;
    return false;
}

static bool sized(board_request_t *r, uint16_t size) {
    return r->size == size || refuse(r, BOARD_BAD_LENGTH, BOARD_ALL_CHANNELS);
}

static bool exists(const board_t *b, board_request_t *r, uint8_t channel, bool configured) {
    if (channel >= b->n_channels) {
        return refuse(r, BOARD_BAD_CHANNEL, channel);
    }
    if (configured && !(b->channels[channel].flags & BOARD_CH_CONFIGURED)) {
        return refuse(r, BOARD_NOT_CONFIGURED, channel);
    }
    return true;
}

static bool armed(const board_t *b, board_request_t *r) {
    return b->state == BOARD_ARMED || refuse(r, BOARD_NOT_ARMED, b->reason_channel);
}

static bool lifetime(board_request_t *r, uint16_t life_ms) {
    return life_ms <= BOARD_LIFE_MAX_MS || refuse(r, BOARD_BAD_VALUE, BOARD_ALL_CHANNELS);
}

static bool sane(const board_channel_config_t *c) {
    if (c->low_us < BOARD_PULSE_MIN_US || c->high_us > BOARD_PULSE_MAX_US || c->low_us >= c->high_us) {
        return false;
    }
    if (c->neutral_us < c->low_us || c->neutral_us > c->high_us || c->safe_us < c->low_us ||
        c->safe_us > c->high_us) {
        return false;
    }
    if (c->frame_hz < 40u || c->frame_hz > 400u || c->on_loss > BOARD_RELAX) {
        return false;
    }
    return c->speed_us_s > 0u && c->park_speed_us_s > 0u &&
           (uint32_t)c->high_us + 100u <= 1000000u / c->frame_hz;
}

static board_channel_config_t config_from(const uint8_t *p) {
    board_channel_config_t c;
    c.on_loss = p[1];
    c.low_us = frame_get16(p + 2);
    c.high_us = frame_get16(p + 4);
    c.neutral_us = frame_get16(p + 6);
    c.safe_us = frame_get16(p + 8);
    c.speed_us_s = frame_get16(p + 10);
    c.accel_100us_s2 = frame_get16(p + 12);
    c.park_speed_us_s = frame_get16(p + 14);
    c.frame_hz = frame_get16(p + 16);
    c.duty_max = p[18];
    return c;
}

static void config_to(uint8_t *p, uint8_t channel, const board_channel_config_t *c) {
    p[0] = channel;
    p[1] = c->on_loss;
    (void)frame_put16(p + 2, c->low_us);
    (void)frame_put16(p + 4, c->high_us);
    (void)frame_put16(p + 6, c->neutral_us);
    (void)frame_put16(p + 8, c->safe_us);
    (void)frame_put16(p + 10, c->speed_us_s);
    (void)frame_put16(p + 12, c->accel_100us_s2);
    (void)frame_put16(p + 14, c->park_speed_us_s);
    (void)frame_put16(p + 16, c->frame_hz);
    p[18] = c->duty_max;
    p[19] = 0;
}

static void do_config(board_t *b, board_request_t *r) {
    if (!sized(r, BOARD_CONFIG_SIZE) || !exists(b, r, r->data[0], false)) {
        return;
    }
    uint8_t was[BOARD_CONFIG_SIZE], channel = r->data[0];
    board_channel_t *c = &b->channels[channel];
    board_channel_config_t wanted = config_from(r->data);
    if (b->state == BOARD_ARMED) {
        (void)refuse(r, BOARD_IS_ARMED, channel);
        return;
    }
    if (r->data[19] != 0u || !sane(&wanted)) {
        (void)refuse(r, BOARD_BAD_VALUE, channel);
        return;
    }
    config_to(was, channel, &c->config);
    if ((c->flags & BOARD_CH_ON) && memcmp(was, r->data, BOARD_CONFIG_SIZE) != 0) {
        (void)refuse(r, BOARD_CHANNEL_ON, channel);
        return;
    }
    c->config = wanted;
    c->flags |= BOARD_CH_CONFIGURED;
}

static void do_arm(board_t *b, board_request_t *r) {
    if (!sized(r, 2)) {
        return;
    }
    uint16_t life_ms = frame_get16(r->data);
    bool any = false;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        any = any || (b->channels[i].flags & BOARD_CH_CONFIGURED) != 0;
    }
    if (!lifetime(r, life_ms)) {
        return;
    }
    if (!any) {
        (void)refuse(r, BOARD_NOT_CONFIGURED, BOARD_ALL_CHANNELS);
        return;
    }
    if (b->estop_open) {
        (void)refuse(r, BOARD_ESTOP_OPEN, BOARD_ALL_CHANNELS);
        return;
    }
    for (uint8_t i = 0; i < b->n_channels; i++) {
        board_channel_t *c = &b->channels[i];
        if ((c->flags & BOARD_CH_LOST) && (c->flags & BOARD_CH_ON)) {
            motion_stand(c);
        }
        c->flags &= (uint8_t)~(BOARD_CH_LOST | BOARD_CH_PARKED | BOARD_CH_DUTY);
    }
    b->state = BOARD_ARMED;
    b->reason = BOARD_NO_REASON;
    b->life_default_ms = life_ms == 0u ? BOARD_LIFE_DEFAULT_MS : life_ms;
    board_refresh_life(b, 0);
}

static void do_enable(board_t *b, board_request_t *r) {
    if (!sized(r, 3) || !armed(b, r)) {
        return;
    }
    uint8_t channel = r->data[0];
    uint16_t stagger_ms = frame_get16(r->data + 1);
    if (channel != BOARD_ALL_CHANNELS && !exists(b, r, channel, true)) {
        return;
    }
    for (uint8_t i = 0; i < b->n_channels; i++) {
        board_channel_t *c = &b->channels[i];
        bool wanted = channel == BOARD_ALL_CHANNELS || channel == i;
        if (wanted && (c->flags & BOARD_CH_CONFIGURED) && !(c->flags & BOARD_CH_ON)) {
            c->flags |= BOARD_CH_QUEUED;
        }
    }
    b->stagger_ms = stagger_ms == 0u ? BOARD_STAGGER_DEFAULT_MS : stagger_ms;
    board_refresh_life(b, 0);
}

static void do_set(board_t *b, board_request_t *r) {
    if (r->size < 2u || (r->size - 2u) % 3u != 0u) {
        (void)refuse(r, BOARD_BAD_LENGTH, BOARD_ALL_CHANNELS);
        return;
    }
    uint16_t life_ms = frame_get16(r->data);
    if (!armed(b, r) || !lifetime(r, life_ms)) {
        return;
    }
    for (uint16_t i = 2; i < r->size; i = (uint16_t)(i + 3u)) {
        if (!exists(b, r, r->data[i], true)) {
            return;
        }
    }
    for (uint16_t i = 2; i < r->size; i = (uint16_t)(i + 3u)) {
        board_channel_t *c = &b->channels[r->data[i]];
        if ((c->flags & BOARD_CH_ON) && !(c->flags & BOARD_CH_LOST) &&
            motion_aim(c, frame_get16(r->data + i + 1))) {
            r->count++;
            r->channel = r->data[i];
            b->stats.clamped++;
        }
    }
    board_refresh_life(b, life_ms);
}

static void do_setup(board_t *b, board_request_t *r) {
    if (!sized(r, 3)) {
        return;
    }
    if (b->state == BOARD_ARMED) {
        (void)refuse(r, BOARD_IS_ARMED, BOARD_ALL_CHANNELS);
    } else if (!board_restore_setup(b, r->data[0], frame_get16(r->data + 1))) {
        (void)refuse(r, BOARD_BAD_VALUE, BOARD_ALL_CHANNELS);
    } else {
        b->setup_changed = true;
    }
}

static void disarm(board_t *b) {
    b->state = BOARD_DISARMED;
    b->reason = BOARD_NO_REASON;
}

static void do_release(board_t *b, board_request_t *r) {
    if (!sized(r, 1)) {
        return;
    }
    if (r->data[0] == BOARD_ALL_CHANNELS) {
        board_off_all(b);
        disarm(b);
    } else if (exists(b, r, r->data[0], false)) {
        motion_off(&b->channels[r->data[0]]);
    }
}

void board_obey(board_t *b, uint8_t type, board_request_t *r) {
    switch (type) {
    case BOARD_CONFIG: do_config(b, r); break;
    case BOARD_ARM: do_arm(b, r); break;
    case BOARD_ENABLE: do_enable(b, r); break;
    case BOARD_SET: do_set(b, r); break;
    case BOARD_RELEASE: do_release(b, r); break;
    case BOARD_SETUP: do_setup(b, r); break;
    case BOARD_DISARM:
        if (sized(r, 0)) {
            board_lose_all(b);
            disarm(b);
        }
        break;
    case BOARD_STOP:
        if (sized(r, 0)) {
            board_trip(b, BOARD_HOST_STOP);
        }
        break;
    default: (void)refuse(r, BOARD_UNKNOWN_COMMAND, BOARD_ALL_CHANNELS);
    }
}

static uint16_t config_crc(const board_t *b) {
    uint16_t crc = 0xFFFFu;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        if (b->channels[i].flags & BOARD_CH_CONFIGURED) {
            uint8_t p[BOARD_CONFIG_SIZE];
            config_to(p, i, &b->channels[i].config);
            for (uint8_t k = 0; k < BOARD_CONFIG_SIZE; k++) {
                crc = frame_crc_byte(crc, p[k]);
            }
        }
    }
    return crc;
}

static uint16_t answer_hello(board_t *b, board_request_t *r, uint8_t *out) {
    if (!sized(r, 4)) {
        return 0;
    }
    if (r->data[0] != 0x41u || r->data[1] != 0x46u) {
        (void)refuse(r, BOARD_BAD_VALUE, BOARD_ALL_CHANNELS);
        return 0;
    }
    if (r->data[2] != BOARD_PROTOCOL_VERSION) {
        r->status = BOARD_WRONG_VERSION;
    } else if (r->data[3] != 0u && r->data[3] != b->board_id) {
        r->status = BOARD_WRONG_BOARD;
    } else {
        b->greeted = true;
    }
    out[0] = r->status;
    out[1] = BOARD_PROTOCOL_VERSION;
    out[2] = BOARD_FIRMWARE_MAJOR;
    out[3] = BOARD_FIRMWARE_MINOR;
    out[4] = BOARD_FIRMWARE_PATCH;
    out[5] = b->kind;
    out[6] = b->board_id;
    out[7] = b->n_channels;
    (void)frame_put32(out + 8, b->boot_id);
    out[12] = b->reset_cause;
    (void)frame_put16(out + 13, config_crc(b));
    out[15] = b->state;
    out[16] = b->reason;
    return 17;
}

static uint16_t answer_read(const board_t *b, board_request_t *r, uint8_t *out) {
    if (!sized(r, 2)) {
        return 0;
    }
    uint8_t first = r->data[0], count = r->data[1], enabling = 0;
    if (first >= b->n_channels) {
        (void)refuse(r, BOARD_BAD_CHANNEL, first);
        return 0;
    }
    count = count > b->n_channels - first ? (uint8_t)(b->n_channels - first) : count;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        enabling = (uint8_t)(enabling | (b->channels[i].flags & BOARD_CH_QUEUED));
    }
    out[0] = BOARD_OK;
    out[1] = b->state;
    out[2] = b->reason;
    out[3] = b->reason_channel;
    out[4] = (uint8_t)((b->estop_open ? 1u : 0u) | (board_supply_on(b) ? 2u : 0u) | (enabling ? 4u : 0u));
    uint8_t *p = frame_put32(out + 5, b->uptime_ms);
    p = frame_put16(p, board_life_left_ms(b));
    p = frame_put16(p, b->supply_mv);
    p = frame_put16(p, b->current_ma);
    *p++ = first;
    *p++ = count;
    for (uint8_t i = 0; i < count; i++) {
        *p++ = b->channels[first + i].flags;
        p = frame_put16(p, board_pulse_us(b, (uint8_t)(first + i)));
    }
    return (uint16_t)(p - out);
}

static uint16_t answer_stats(const board_t *b, board_request_t *r, uint8_t *out) {
    if (!sized(r, 0)) {
        return 0;
    }
    const board_stats_t *s = &b->stats;
    const uint32_t values[10] = {s->frames_ok, s->bad_crc, s->bad_framing, s->refused, s->duplicates,
                                 s->tx_dropped, s->trips, s->late_ticks, s->clamped, s->max_tick_gap_us};
    uint8_t *p = out;
    *p++ = BOARD_OK;
    for (uint8_t i = 0; i < 10u; i++) {
        p = frame_put32(p, values[i]);
    }
    return (uint16_t)(p - out);
}

static uint16_t answer_setup(const board_t *b, board_request_t *r, uint8_t *out) {
    if (!sized(r, 0)) {
        return 0;
    }
    uint8_t *p = out;
    *p++ = BOARD_OK;
    *p++ = BOARD_SETUP_KEYS;
    for (uint8_t i = 0; i < BOARD_SETUP_KEYS; i++) {
        p = frame_put16(p, b->setup[i]);
    }
    return (uint16_t)(p - out);
}

uint16_t board_answer(board_t *b, uint8_t type, board_request_t *r, uint8_t *out) {
    switch (type) {
    case BOARD_HELLO: return answer_hello(b, r, out);
    case BOARD_READ: return answer_read(b, r, out);
    case BOARD_STATS: return answer_stats(b, r, out);
    case BOARD_GET_SETUP: return answer_setup(b, r, out);
    default:
        if (!sized(r, 1) || !exists(b, r, r->data[0], true)) {
            return 0;
        }
        out[0] = BOARD_OK;
        config_to(out + 1, r->data[0], &b->channels[r->data[0]].config);
        return BOARD_CONFIG_SIZE + 1u;
    }
}
