#include "motion.h"

#define Q6(us) ((int32_t)(us) * 64)
/* us/s to 1/64 us per step, v * 4000 * 64 / 1e6 = v * .256: a multiplication and a shift, because a 32-bit
 * division costs an AVR 40 us and every moving channel asks for several in 4 ms. Rounded down (.25599). */
#define Q6_PER_STEP_Q16 16777u

static uint32_t q6_per_step(uint32_t speed_us_s) { return (speed_us_s * Q6_PER_STEP_Q16) >> 16; }

static uint16_t clamp16(uint16_t v, uint16_t low, uint16_t high) {
    return v < low ? low : (v > high ? high : v);
}

uint16_t motion_pulse_us(const board_channel_t *c) {
    return (c->flags & BOARD_CH_ON) ? (uint16_t)((c->position_q6 + 32) / 64) : 0u;
}

/* Where the channel stands or, with an acceleration limit, where it can come to rest. */
static uint16_t resting_us(const board_channel_t *c) {
    int32_t q6 = c->position_q6;
    if (c->config.accel_100us_s2 != 0u && c->velocity_us_s != 0) {
        uint32_t v = (uint32_t)(c->velocity_us_s < 0 ? -c->velocity_us_s : c->velocity_us_s);
        uint32_t way_us = v * v / (200u * c->config.accel_100us_s2);
        int32_t way_q6 = Q6(way_us > BOARD_PULSE_MAX_US ? BOARD_PULSE_MAX_US : way_us);
        q6 += c->velocity_us_s < 0 ? -way_q6 : way_q6;
    }
    return q6 <= 0 ? c->config.low_us : clamp16((uint16_t)((q6 + 32) / 64), c->config.low_us, c->config.high_us);
}

void motion_stand(board_channel_t *c) {
    c->target_us = resting_us(c);
    c->flags &= (uint8_t)~(BOARD_CH_LOST | BOARD_CH_PARKED | BOARD_CH_CLAMPED | BOARD_CH_DUTY);
}

void motion_start(board_channel_t *c, uint16_t pulse_us) {
    c->position_q6 = Q6(clamp16(pulse_us, c->config.low_us, c->config.high_us));
    c->velocity_us_s = 0;
    motion_stand(c);
    c->flags = (uint8_t)((c->flags & ~BOARD_CH_QUEUED) | BOARD_CH_ON);
}

void motion_off(board_channel_t *c) {
    if (c->flags & BOARD_CH_ON) {
        c->remembered_us = motion_pulse_us(c);
    }
    c->velocity_us_s = 0;
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

/* Change of speed in one step, us/s. */
static uint32_t change_per_step(uint32_t accel_100) {
    uint32_t change = accel_100 * (BOARD_STEP_US / 100u) / 100u;
    return change == 0u ? 1u : change;
}

/* Largest |speed| for this step that the acceleration allows and that can still stop in time. */
static uint32_t braked_speed(uint32_t speed, uint32_t limit, uint32_t accel_100, uint32_t distance_q6) {
    uint32_t change = change_per_step(accel_100);
    uint32_t tries[2];
    tries[0] = speed + change > limit ? (speed > limit + change ? speed - change : limit) : speed + change;
    tries[1] = speed > limit ? tries[0] : speed;
    for (uint8_t i = 0; i < 2u; i++) {
        uint32_t v = tries[i];
        uint32_t move_q6 = q6_per_step(v);
        if (move_q6 > distance_q6) {
            continue;
        }
        uint32_t left_us = (distance_q6 - move_q6) / 64u;
        uint32_t half = accel_100 * left_us; /* v^2 <= 200 half: it can still stop; below 2e8 */
        if (half > 0xFFFFFFFFu / 200u || v * v <= 200u * half) {
            return v;
        }
    }
    return speed > 2u * change ? speed - change : change;
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

/* Signed speed towards the target for the next step, us/s; negative: still moving away. */
static int32_t next_speed(const board_channel_t *c, int32_t towards, uint32_t distance_q6) {
    bool parking = (c->flags & BOARD_CH_LOST) != 0 && c->config.on_loss == BOARD_PARK;
    uint32_t limit = parking ? c->config.park_speed_us_s : c->config.speed_us_s;
    uint32_t accel = c->config.accel_100us_s2;
    if (accel == 0u) {
        return (int32_t)limit;
    }
    if (towards < 0) {
        int32_t slower = towards + (int32_t)change_per_step(accel);
        return slower < 0 ? slower : 0;
    }
    return (int32_t)braked_speed((uint32_t)towards, limit, accel, distance_q6);
}

static void keep_inside(board_channel_t *c) {
    int32_t low = Q6(c->config.low_us), high = Q6(c->config.high_us);
    if (c->position_q6 < low || c->position_q6 > high) {
        c->position_q6 = c->position_q6 < low ? low : high;
        c->velocity_us_s = 0;
    }
}

void motion_step(board_channel_t *c) {
    if (!(c->flags & BOARD_CH_ON)) {
        return;
    }
    int32_t way = Q6(c->target_us) - c->position_q6;
    if (way == 0 && c->velocity_us_s == 0) {
        c->flags &= (uint8_t)~BOARD_CH_MOVING;
        settle(c);
        return;
    }
    c->flags |= BOARD_CH_MOVING;
    int32_t sign = way > 0 || (way == 0 && c->velocity_us_s < 0) ? 1 : -1;
    int32_t distance = way * sign;
    int32_t speed = next_speed(c, c->velocity_us_s * sign, (uint32_t)distance);
    /* Divide a positive number: truncation must never add to the speed. */
    int32_t move = (int32_t)q6_per_step((uint32_t)(speed < 0 ? -speed : speed));
    if (speed > 0 && move == 0) {
        move = 1;
    }
    if (speed >= 0 && move >= distance) {
        c->position_q6 = Q6(c->target_us);
        c->velocity_us_s = 0;
    } else {
        c->position_q6 += (speed < 0 ? -sign : sign) * move;
        c->velocity_us_s = sign * speed;
    }
    keep_inside(c);
}
