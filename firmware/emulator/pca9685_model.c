#include "pca9685_model.h"

#include <math.h>
#include <string.h>

#define CPU_HZ 16e6
enum { MODE1 = 0x00, MODE2 = 0x01, LED0 = 0x06, ALL_LED = 0xFA, PRESCALE = 0xFE };
enum { SLEEP = 0x10, AUTO_INCREMENT = 0x20, RESTART = 0x80 };

static double tick_cycles(const pca_model_t *m) {
    return CPU_HZ * (m->registers[PRESCALE] + 1.0) / m->oscillator_hz;
}

void model_power_on(pca_model_t *m) {
    memset(m->registers, 0, sizeof m->registers);
    m->registers[MODE1] = 0x11; /* asleep, answers to the all-call address */
    m->registers[MODE2] = 0x04;
    m->registers[PRESCALE] = 0x1E;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        m->registers[LED0 + 4 * i + 3] = 0x10;
        m->width[i] = 0.0;
    }
    m->frame_from = -1.0;
    m->pointer_known = false;
    model_stop(m);
}

/* Say what came out of this frame so far; `end` cuts pulses that are still high. */
static void tell(pca_model_t *m, double end) {
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        double rise = m->frame_from + m->on[i], high = m->width[i];
        if (m->told[i] || high <= 0.0 || rise >= end) {
            continue;
        }
        m->told[i] = true;
        m->pulse(m->owner, m->chip, i, (uint64_t)llround(rise), rise + high > end ? end - rise : high);
    }
}

/* Outputs take over at the end of a frame what was complete by then: half a burst never shows. */
static void begin_frame(pca_model_t *m, double at) {
    m->frame_from = at;
    m->frames++;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        const uint8_t *r = m->outputs + 4 * i;
        int on = r[0] | (r[1] & 0x0F) << 8, off = r[2] | (r[3] & 0x0F) << 8;
        m->told[i] = false;
        m->on[i] = on * tick_cycles(m);
        if ((r[3] & 0x10) || m->cut || m->absent) {
            m->width[i] = 0.0;
        } else if (r[1] & 0x10) {
            m->on[i] = 0.0;
            m->width[i] = 4096 * tick_cycles(m);
        } else {
            m->width[i] = ((off - on) & 4095) * tick_cycles(m);
        }
    }
}

uint64_t model_run(pca_model_t *m, uint64_t now) {
    if (m->frame_from < 0.0) {
        return 0;
    }
    double period = 4096.0 * tick_cycles(m);
    while (m->frame_from + period <= (double)now + 0.5) {
        double next = m->frame_from + period;
        tell(m, next);
        begin_frame(m, next);
    }
    return (uint64_t)ceil(m->frame_from + period);
}

static void fall_asleep(pca_model_t *m, uint64_t now) {
    if (m->frame_from >= 0.0) {
        tell(m, (double)now);
        m->frame_from = -1.0;
        memset(m->width, 0, sizeof m->width);
    }
}

void model_cut(pca_model_t *m, bool cut, uint64_t now) {
    if (cut && !m->cut && m->frame_from >= 0.0) {
        tell(m, (double)now);
        for (int i = 0; i < MODEL_OUTPUTS; i++) {
            m->width[i] = 0.0;
        }
    }
    m->cut = cut; /* on again: from the next frame, the data sheet lets a running pulse appear */
}

void model_start(pca_model_t *m) { m->pointer_known = false; }

void model_stop(pca_model_t *m) { memcpy(m->outputs, m->registers + LED0, sizeof m->outputs); }

static void write_register(pca_model_t *m, uint8_t reg, uint8_t value, uint64_t now) {
    if (reg == PRESCALE) {
        if (m->registers[MODE1] & SLEEP) {
            m->registers[PRESCALE] = value < 3 ? 3 : value;
        }
    } else if (reg >= ALL_LED && reg < PRESCALE) {
        for (int i = 0; i < MODEL_OUTPUTS; i++) {
            m->registers[LED0 + 4 * i + (reg - ALL_LED)] = value;
        }
    } else if (reg == MODE1) {
        bool slept = (m->registers[MODE1] & SLEEP) != 0;
        m->registers[MODE1] = value & (uint8_t)~RESTART;
        if (value & SLEEP) {
            fall_asleep(m, now);
        } else if (slept) {
            begin_frame(m, (double)now + 500e-6 * CPU_HZ); /* the oscillator's start */
        }
    } else {
        m->registers[reg] = value;
    }
}

void model_write(pca_model_t *m, uint8_t byte, uint64_t now) {
    if (!m->pointer_known) {
        m->pointer = byte;
        m->pointer_known = true;
        return;
    }
    write_register(m, m->pointer, byte, now);
    if (m->registers[MODE1] & AUTO_INCREMENT) {
        m->pointer = m->pointer == 0x45 ? 0 : (uint8_t)(m->pointer + 1);
    }
}

uint8_t model_read(pca_model_t *m) {
    uint8_t value = m->registers[m->pointer];
    if (m->registers[MODE1] & AUTO_INCREMENT) {
        m->pointer = (uint8_t)(m->pointer + 1);
    }
    return value;
}
