#include "motion.h"

/* 16 x 16 bits: an AVR has a multiplier for that, while a 32-bit division costs it 40 us, and every moving
 * channel asks for several in 4 ms. */
static uint32_t mul16(uint32_t a, uint32_t b) { return (uint32_t)(uint16_t)a * (uint16_t)b; }

#define Q8(us) ((int32_t)((uint32_t)(us) << 8))

/* us/s to 1/256 us per step, v * 4000 * 256 / 1e6 = v * 1.024, rounded down (1.02399). */
static uint32_t q8_per_step(uint32_t speed_us_s) { return speed_us_s + (mul16(speed_us_s, 1572u) >> 16); }

static uint16_t clamp16(uint16_t v, uint16_t low, uint16_t high) {
    return v < low ? low : (v > high ? high : v);
}

uint16_t motion_pulse_us(const board_channel_t *c) {
    return (c->flags & BOARD_CH_ON) ? (uint16_t)(((uint32_t)c->position_q8 + 128u) >> 8) : 0u;
}

/* Where the channel stands or, with an acceleration limit, where it can come to rest. */
static uint16_t resting_us(const board_channel_t *c) {
    int32_t q8 = c->position_q8;
    if (c->config.accel_100us_s2 != 0u && c->velocity_us_s != 0) {
        uint32_t v = (uint32_t)(c->velocity_us_s < 0 ? -c->velocity_us_s : c->velocity_us_s);
        uint32_t way_us = v * v / mul16(200u, c->config.accel_100us_s2);
        int32_t way_q8 = Q8(way_us > BOARD_PULSE_MAX_US ? BOARD_PULSE_MAX_US : way_us);
        q8 += c->velocity_us_s < 0 ? -way_q8 : way_q8;
    }
    return q8 <= 0 ? c->config.low_us : clamp16((uint16_t)((q8 + 128) / 256), c->config.low_us, c->config.high_us);
}

void motion_stand(board_channel_t *c) {
    c->target_us = resting_us(c);
    c->flags &= (uint8_t)~(BOARD_CH_LOST | BOARD_CH_PARKED | BOARD_CH_CLAMPED | BOARD_CH_DUTY);
}

void motion_start(board_channel_t *c, uint16_t pulse_us) {
    c->position_q8 = Q8(clamp16(pulse_us, c->config.low_us, c->config.high_us));
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

/* Change of speed in one step, us/s: x 100 us/s^2 x 4 ms = 2/5, exactly for 16 bits. */
static uint16_t change_per_step(uint16_t accel_100) {
    uint16_t change = (uint16_t)(mul16(accel_100, 52429u) >> 17);
    return change == 0u ? 1u : change;
}

/* Whether a channel that moves this step at `speed` can still stop within `distance_q8`. */
static bool can_stop(uint16_t speed, uint16_t accel_100, uint32_t distance_q8) {
    uint32_t move_q8 = q8_per_step(speed);
    if (move_q8 > distance_q8) {
        return false;
    }
    uint16_t left_us = (uint16_t)((distance_q8 - move_q8) >> 8);
    uint32_t half = mul16(accel_100, left_us); /* v^2 <= 2 a s = 200 half; below 2e8 */
    return half > 0xFFFFFFFFu / 200u || mul16(speed, speed) <= 200u * half;
}

/* Largest |speed| for this step that the acceleration allows and that can still stop in time. */
static uint16_t braked_speed(uint16_t speed, uint16_t limit, uint16_t accel_100, uint32_t distance_q8) {
    uint16_t change = change_per_step(accel_100), faster = limit;
    if (speed > limit) {
        faster = (uint16_t)(speed - limit) > change ? (uint16_t)(speed - change) : limit;
    } else if ((uint16_t)(limit - speed) > change) {
        faster = (uint16_t)(speed + change);
    }
    if (can_stop(faster, accel_100, distance_q8)) {
        return faster;
    }
    if (speed <= limit && faster != speed && can_stop(speed, accel_100, distance_q8)) {
        return speed;
    }
    uint16_t slower = speed > change ? (uint16_t)(speed - change) : 0u;
    return slower > change ? slower : change;
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
static int32_t next_speed(const board_channel_t *c, int32_t towards, uint32_t distance_q8) {
    bool parking = (c->flags & BOARD_CH_LOST) != 0 && c->config.on_loss == BOARD_PARK;
    uint16_t limit = parking ? c->config.park_speed_us_s : c->config.speed_us_s;
    uint16_t accel = c->config.accel_100us_s2;
    if (accel == 0u) {
        return limit;
    }
    if (towards < 0) {
        int32_t slower = towards + change_per_step(accel);
        return slower < 0 ? slower : 0;
    }
    return braked_speed((uint16_t)towards, limit, accel, distance_q8);
}

static void keep_inside(board_channel_t *c) {
    int32_t low = Q8(c->config.low_us), high = Q8(c->config.high_us);
    if (c->position_q8 < low || c->position_q8 > high) {
        c->position_q8 = c->position_q8 < low ? low : high;
        c->velocity_us_s = 0;
    }
}

void motion_step(board_channel_t *c) {
    if (!(c->flags & BOARD_CH_ON)) {
        return;
    }
    int32_t way = Q8(c->target_us) - c->position_q8;
    if (way == 0 && c->velocity_us_s == 0) {
        c->flags &= (uint8_t)~BOARD_CH_MOVING;
        settle(c);
        return;
    }
    c->flags |= BOARD_CH_MOVING;
    bool up = way > 0 || (way == 0 && c->velocity_us_s < 0);
    uint32_t distance = (uint32_t)(way < 0 ? -way : way);
    int32_t speed = next_speed(c, up ? c->velocity_us_s : -c->velocity_us_s, distance);
    bool away = speed < 0;
    /* Truncation must never add to the speed. */
    int32_t move = (int32_t)q8_per_step((uint32_t)(away ? -speed : speed));
    if (speed > 0 && move == 0) {
        move = 1;
    }
    if (!away && (uint32_t)move >= distance) {
        c->position_q8 = Q8(c->target_us);
        c->velocity_us_s = 0;
    } else {
        c->position_q8 += up != away ? move : -move;
        c->velocity_us_s = up ? speed : -speed;
    }
    keep_inside(c);
}
