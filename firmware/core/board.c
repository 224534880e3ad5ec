/* State, time and safety: what happens when nobody speaks. */
#include "board.h"

#include <string.h>

#include "internal.h"
#include "motion.h"

void board_init(board_t *b, uint8_t kind, uint8_t board_id, uint8_t n_channels, uint32_t boot_id,
                uint8_t reset_cause) {
    memset(b, 0, sizeof *b);
    b->kind = kind;
    b->board_id = board_id;
    b->n_channels = n_channels > BOARD_MAX_CHANNELS ? (uint8_t)BOARD_MAX_CHANNELS : n_channels;
    b->boot_id = boot_id;
    b->reset_cause = reset_cause;
    b->reason_channel = BOARD_ALL_CHANNELS;
    b->life_default_ms = BOARD_LIFE_DEFAULT_MS;
    b->stagger_ms = BOARD_STAGGER_DEFAULT_MS;
    b->setup[BOARD_SETUP_ID] = board_id;
    for (uint8_t i = 0; i < 3u; i++) {
        b->setup[BOARD_SETUP_OSCILLATOR + i] = BOARD_OSCILLATOR_NOMINAL;
    }
}

bool board_restore_setup(board_t *b, uint8_t key, uint16_t value) {
    if (key >= BOARD_SETUP_KEYS) {
        return false;
    }
    if (key == BOARD_SETUP_ID) {
        if (value == 0u || value > 254u) {
            return false;
        }
        b->board_id = (uint8_t)value;
    } else if (key < BOARD_SETUP_OSCILLATOR + 3u) {
        if (value < BOARD_OSCILLATOR_MIN || value > BOARD_OSCILLATOR_MAX) {
            return false;
        }
    }
    b->setup[key] = value;
    return true;
}

void board_restore_pulse(board_t *b, uint8_t channel, uint16_t pulse_us) {
    if (channel < b->n_channels && pulse_us >= BOARD_PULSE_MIN_US && pulse_us <= BOARD_PULSE_MAX_US) {
        b->channels[channel].remembered_us = pulse_us;
    }
}

uint16_t board_pulse_us(const board_t *b, uint8_t channel) {
    return channel < b->n_channels ? motion_pulse_us(&b->channels[channel]) : 0u;
}

bool board_supply_on(const board_t *b) {
    if (b->estop_open) {
        return false;
    }
    if (b->state == BOARD_ARMED) {
        return true;
    }
    for (uint8_t i = 0; i < b->n_channels; i++) {
        if (b->channels[i].flags & BOARD_CH_ON) {
            return true;
        }
    }
    return false;
}

void board_lose_all(board_t *b) {
    for (uint8_t i = 0; i < b->n_channels; i++) {
        motion_lose(&b->channels[i]);
    }
}

void board_off_all(board_t *b) {
    for (uint8_t i = 0; i < b->n_channels; i++) {
        motion_off(&b->channels[i]);
    }
}

void board_trip(board_t *b, uint8_t reason) {
    if (b->state != BOARD_ARMED) {
        return; /* sticky: the first reason stays */
    }
    b->state = BOARD_TRIPPED;
    b->reason = reason;
    b->reason_channel = BOARD_ALL_CHANNELS;
    b->stats.trips++;
    board_lose_all(b);
}

void board_refresh_life(board_t *b, uint16_t life_ms) {
    b->life_ms = life_ms == 0u ? b->life_default_ms : life_ms;
    b->life_from_us = b->now_us;
}

uint16_t board_life_left_ms(const board_t *b) {
    if (b->state != BOARD_ARMED) {
        return 0;
    }
    uint32_t gone_ms = (b->now_us - b->life_from_us) / 1000u;
    return gone_ms >= b->life_ms ? 0u : (uint16_t)(b->life_ms - gone_ms);
}

void board_input_estop(board_t *b, bool open) {
    b->estop_open = open;
    if (open) {
        board_trip(b, BOARD_ESTOP);
        board_off_all(b);
    }
}

void board_input_supply(board_t *b, uint16_t supply_mv, uint16_t current_ma) {
    const uint16_t min_mv = b->setup[BOARD_SETUP_SUPPLY_MIN_MV];
    const uint16_t max_ma = b->setup[BOARD_SETUP_CURRENT_MAX_MA];
    b->supply_mv = supply_mv;
    b->current_ma = current_ma;
    if (b->state != BOARD_ARMED || min_mv == 0u || supply_mv >= min_mv) {
        b->supply_fine_us = b->now_us;
    }
    if (b->state != BOARD_ARMED || max_ma == 0u || current_ma <= max_ma) {
        b->current_fine_us = b->now_us;
    }
    if (b->now_us - b->supply_fine_us > BOARD_SUPPLY_LOW_MS * 1000u ||
        b->now_us - b->current_fine_us > BOARD_CURRENT_HIGH_MS * 1000u) {
        board_trip(b, BOARD_SUPPLY);
    }
}

void board_output_lost(board_t *b, uint8_t first, uint8_t count) {
    for (uint8_t i = first; i < b->n_channels && i - first < count; i++) {
        board_channel_t *c = &b->channels[i];
        if (c->flags & (BOARD_CH_ON | BOARD_CH_QUEUED)) {
            motion_off(c);
            c->flags |= BOARD_CH_LOST;
        }
    }
}

/* The next channel in the queue comes on when its time has come. */
static void enable_next(board_t *b) {
    const uint16_t step_ms = BOARD_STEP_US / 1000u;
    if (b->stagger_left_ms > step_ms) {
        b->stagger_left_ms = (uint16_t)(b->stagger_left_ms - step_ms);
        return;
    }
    b->stagger_left_ms = 0;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        board_channel_t *c = &b->channels[i];
        if (c->flags & BOARD_CH_QUEUED) {
            motion_start(c, c->remembered_us != 0u ? c->remembered_us : c->config.neutral_us);
            b->stagger_left_ms = b->stagger_ms;
            return;
        }
    }
}

/* Mean speed, a first-order average over 256 x 64 ms. */
static void watch_duty(board_t *b) {
    b->duty_clock_ms = (uint16_t)(b->duty_clock_ms + BOARD_STEP_US / 1000u);
    if (b->duty_clock_ms < 64u) {
        return;
    }
    b->duty_clock_ms = 0;
    for (uint8_t i = 0; i < b->n_channels; i++) {
        board_channel_t *c = &b->channels[i];
        uint32_t speed = (uint32_t)(c->velocity_q16 < 0 ? -c->velocity_q16 : c->velocity_q16);
        c->mean_speed = c->mean_speed - (c->mean_speed >> 8) + (speed >> 8);
        if (c->config.duty_max != 255u && (c->flags & BOARD_CH_ON) && !(c->flags & BOARD_CH_LOST) &&
            (c->mean_speed >> 8) * 255u > (motion_limit_q16(c) >> 8) * c->config.duty_max) {
            motion_lose(c);
            c->flags |= BOARD_CH_DUTY;
        }
    }
}

static void step(board_t *b) {
    enable_next(b);
    for (uint8_t i = 0; i < b->n_channels; i++) {
        motion_step(&b->channels[i]);
    }
    watch_duty(b);
}

static void count_uptime(board_t *b, uint32_t gap_us) {
    b->uptime_rest_us += gap_us;
    b->uptime_ms += b->uptime_rest_us / 1000u;
    b->uptime_rest_us %= 1000u;
}

void board_tick(board_t *b, uint32_t now_us) {
    if (!b->started) {
        b->started = true;
        b->now_us = b->last_step_us = b->life_from_us = now_us;
        return;
    }
    uint32_t gap_us = now_us - b->now_us; /* wraps with the counter */
    b->now_us = now_us;
    count_uptime(b, gap_us);
    if (gap_us > b->stats.max_tick_gap_us) {
        b->stats.max_tick_gap_us = gap_us;
    }
    if (b->state == BOARD_ARMED) {
        /* Asked by time, not by counting: a late tick must not lengthen a life. */
        if (now_us - b->life_from_us > (uint32_t)b->life_ms * 1000u) {
            board_trip(b, BOARD_LIFE_EXPIRED);
        } else if (gap_us > BOARD_TICK_GAP_MAX_MS * 1000u) {
            board_trip(b, BOARD_LOOP_STOOD);
        }
    }
    if (gap_us > 4u * BOARD_STEP_US) {
        /* Time that was lost is lost: catching up would move faster than the limit. */
        b->stats.late_ticks++;
        b->last_step_us = now_us - BOARD_STEP_US;
    }
    while (now_us - b->last_step_us >= BOARD_STEP_US) {
        b->last_step_us += BOARD_STEP_US;
        step(b);
    }
}
