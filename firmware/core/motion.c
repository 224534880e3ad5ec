#include "motion.h"

/* 16 x 16 bits: an AVR has a multiplier for that. */
static uint32_t mul16(uint32_t a, uint32_t b) { return (uint32_t)(uint16_t)a * (uint16_t)b; }

#define Q16(us) ((int32_t)((uint32_t)(us) << 16))

/* us/s to 1/65536 us per step: x 65536 x .004 = x 262.144, rounded down. */
static uint32_t q16_per_step(uint16_t speed_us_s) { return mul16(speed_us_s, 262u) + (mul16(speed_us_s, 9437u) >> 16); }

/* 100 us/s^2 to 1/65536 us per step and step: x 65536 x .0016 = x 104.8576, rounded down. */
static uint32_t q16_per_step2(uint16_t accel_100) { return mul16(accel_100, 104u) + (mul16(accel_100, 56203u) >> 16); }

static uint16_t clamp16(uint16_t v, uint16_t low, uint16_t high) {
    return v < low ? low : (v > high ? high : v);
}

static uint32_t magnitude(int32_t v) { return (uint32_t)(v < 0 ? -v : v); }

static uint16_t rounded_us(int32_t q16) { return (uint16_t)(((uint32_t)q16 + 32768u) >> 16); }

uint16_t motion_pulse_us(const board_channel_t *c) {
    return (c->flags & BOARD_CH_ON) ? rounded_us(c->position_q16) : 0u;
}

uint32_t motion_limit_q16(const board_channel_t *c) {
    bool parking = (c->flags & BOARD_CH_LOST) != 0 && c->config.on_loss == BOARD_PARK;
    return q16_per_step(parking ? c->config.park_speed_us_s : c->config.speed_us_s);
}

/* The way of this step at `speed` and of the `n` steps that brake from it by `accel` each and stand:
 *     speed + (speed - a) + ... + (speed - n a) = (n + 1) (2 speed - n a) / 2,   n a < speed <= (n + 1) a.
 * `n` may be any guess; it is put right, which costs little where the guess is near. Exact: no step is left over
 * that would have to stop harder. Never near 2^32 for speeds that can stop within the limits. */
static uint32_t stopping_way(uint32_t speed, uint32_t accel, uint16_t *n) {
    uint32_t edge = accel * *n; /* speed of the last step but n */
    while (*n != 0u && edge >= speed) {
        edge -= accel;
        --*n;
    }
    while (edge + accel < speed) {
        edge += accel;
        ++*n;
    }
    return (*n + 1u) * (2u * speed - edge) / 2u;
}

/* Where the channel stands or, with an acceleration limit, the first whole us where it can come to rest. */
static uint16_t resting_us(const board_channel_t *c) {
    int32_t q16 = c->position_q16;
    uint32_t accel = q16_per_step2(c->config.accel_100us_s2), speed = magnitude(c->velocity_q16);
    if (accel == 0u || speed == 0u) {
        return rounded_us(q16);
    }
    uint16_t n = c->brake_steps;
    uint32_t way = stopping_way(speed, accel, &n) - speed;
    /* Outwards: a target that is nearer would be run over. The limits are whole us, so it stays inside. */
    q16 = c->velocity_q16 < 0 ? q16 - (int32_t)way : q16 + (int32_t)way + 0xFFFF;
    return q16 <= 0 ? c->config.low_us : clamp16((uint16_t)(q16 >> 16), c->config.low_us, c->config.high_us);
}

void motion_stand(board_channel_t *c) {
    c->target_us = resting_us(c);
    c->flags &= (uint8_t)~(BOARD_CH_LOST | BOARD_CH_PARKED | BOARD_CH_CLAMPED | BOARD_CH_DUTY);
}

void motion_start(board_channel_t *c, uint16_t pulse_us) {
    c->position_q16 = Q16(clamp16(pulse_us, c->config.low_us, c->config.high_us));
    c->velocity_q16 = 0;
    c->brake_steps = 0;
    motion_stand(c);
    c->flags = (uint8_t)((c->flags & ~BOARD_CH_QUEUED) | BOARD_CH_ON);
}

void motion_off(board_channel_t *c) {
    if (c->flags & BOARD_CH_ON) {
        c->remembered_us = motion_pulse_us(c);
    }
    c->velocity_q16 = 0;
    c->flags &= (uint8_t)~(BOARD_CH_ON | BOARD_CH_MOVING | BOARD_CH_QUEUED);
}

bool motion_aim(board_channel_t *c, uint16_t target_us) {
    uint16_t t = clamp16(target_us, c->config.low_us, c->config.high_us);
    bool clamped = t != target_us;
    c->target_us = t;
    c->flags = (uint8_t)(clamped ? (c->flags | BOARD_CH_CLAMPED) : (c->flags & ~BOARD_CH_CLAMPED));
    return clamped;
}

void motion_lose(board_channel_t *c) {
    c->flags &= (uint8_t)~BOARD_CH_QUEUED;
    if (!(c->flags & BOARD_CH_ON) || (c->flags & BOARD_CH_LOST)) {
        return;
    }
    if (c->config.on_loss == BOARD_RELAX) {
        motion_off(c);
    } else if (c->config.on_loss == BOARD_PARK) {
        c->target_us = c->config.safe_us;
        c->settle_ms = BOARD_PARK_SETTLE_MS;
    } else {
        motion_stand(c);
    }
    c->flags |= BOARD_CH_LOST;
}

static void settle(board_channel_t *c) {
    if (!(c->flags & BOARD_CH_LOST) || c->config.on_loss != BOARD_PARK) {
        return;
    }
    c->flags |= BOARD_CH_PARKED;
    if (c->settle_ms > BOARD_STEP_US / 1000u) {
        c->settle_ms = (uint16_t)(c->settle_ms - BOARD_STEP_US / 1000u);
    } else {
        motion_off(c);
    }
}

/* Speed towards the target for the next step, within `accel` of `speed`: the largest (nearly) from which the channel
 * can still stop there. Where none is small enough, because the target came nearer than that, it brakes, runs over
 * and comes back; inside the limits, which are no nearer than the targets it could stop at. */
static uint32_t braked_speed(uint32_t speed, uint32_t limit, uint32_t accel, uint32_t distance, uint16_t *n) {
    uint32_t low = speed > accel ? speed - accel : 0u, high = speed + accel;
    if (high > limit) {
        high = limit > low ? limit : low; /* a limit that fell is approached by braking */
    }
    if (distance <= accel && distance <= high && distance >= low) {
        *n = 0;
        return distance; /* arrives, and can stand in the step after */
    }
    if (stopping_way(high, accel, n) <= distance) {
        return high;
    }
    uint32_t way = stopping_way(low, accel, n);
    uint32_t spare = distance > way ? distance - way : 0u, rate = *n + 3u;
    /* Each faster unit costs as many units of way as steps are left: n + 1 at `low`, at most n + 3 at `high`. While
     * it brakes there is nothing to spare, and no division, which costs an AVR 40 us. */
    return spare < rate ? low : low + spare / rate;
}

/* Signed speed towards the target for the next step; negative: still moving away. */
static int32_t next_speed(board_channel_t *c, int32_t towards, uint32_t distance) {
    uint32_t limit = motion_limit_q16(c), accel = q16_per_step2(c->config.accel_100us_s2);
    if (accel == 0u) {
        return (int32_t)(limit < distance ? limit : distance);
    }
    if (towards < 0) {
        return -towards > (int32_t)accel ? towards + (int32_t)accel : 0;
    }
    return (int32_t)braked_speed((uint32_t)towards, limit, accel, distance, &c->brake_steps);
}

/* What no target can lead to; a second lock on the same door. */
static void keep_inside(board_channel_t *c) {
    int32_t low = Q16(c->config.low_us), high = Q16(c->config.high_us);
    if (c->position_q16 < low || c->position_q16 > high) {
        c->position_q16 = c->position_q16 < low ? low : high;
        c->velocity_q16 = 0;
    }
}

void motion_step(board_channel_t *c) {
    if (!(c->flags & BOARD_CH_ON)) {
        return;
    }
    int32_t way = Q16(c->target_us) - c->position_q16;
    if (way == 0 && c->velocity_q16 == 0) {
        c->flags &= (uint8_t)~BOARD_CH_MOVING;
        settle(c);
        return;
    }
    c->flags |= BOARD_CH_MOVING;
    bool up = way > 0 || (way == 0 && c->velocity_q16 > 0);
    int32_t speed = next_speed(c, up ? c->velocity_q16 : -c->velocity_q16, magnitude(way));
    c->velocity_q16 = up ? speed : -speed;
    c->position_q16 += c->velocity_q16;
    keep_inside(c);
}
