/* Up to three PCA9685: found, set to their frame rate, kept up to date, watched.
 *
 * The chip takes new values over at the end of a frame. Its rate can only be set asleep, which cuts a pulse, so
 * its outputs are turned off a frame before. A chip that stops answering, or that lost its settings, is lost:
 * its output enable goes high and its channels are off until it answers again and they are ENABLEd.
 */
#include <avr/io.h>
#include <string.h>

#include "../common/pca9685.h"
#include "mega.h"

enum step { ABSENT, ALL_OFF, FRAME_WAIT, SLEEP, MODE2, PRESCALE, WAKE, WAKE_WAIT, RUN, WATCH };

typedef struct {
    uint8_t step, prescale, failures;
    bool lost, sent;
    uint16_t rate_hz, rate_now_hz, oscillator;
    uint32_t since_us, watched_us;
    uint32_t ticks_per_us_q16;
    uint16_t pulses_us[PCA9685_OUTPUTS];                        /* as told last */
    uint16_t wanted[PCA9685_OUTPUTS], written[PCA9685_OUTPUTS]; /* ticks */
} chip_t;

#define FRAME_WAIT_US 26000u /* the slowest frame is 25 ms */
#define WAKE_US 1000u        /* the oscillator takes 500 us */
#define WATCH_US 100000u
#define SEARCH_US 200000u
#define STUCK_US 10000u
#define FAILURES_MAX 3u

static chip_t chips[CHIPS];
static uint8_t turn, n_chips;
static uint32_t ordered_us;

static void enable_output(uint8_t chip, bool on) {
    uint8_t bit = (uint8_t)(CHIP_OFF_BIT << chip);
    if (on) {
        PORTA &= (uint8_t)~bit;
    } else {
        PORTA |= bit;
    }
}

static void order(uint8_t chip, uint8_t reg, uint8_t value, uint32_t now_us) {
    uint8_t *out = twi_buffer();
    out[0] = reg;
    out[1] = value;
    ordered_us = now_us;
    chips[chip].sent = true;
    twi_write((uint8_t)(PCA9685_ADDRESS + chip), 2);
}

static void order_all_off(uint8_t chip, uint32_t now_us) {
    uint8_t *out = twi_buffer();
    out[0] = PCA9685_ALL_LED;
    pca9685_registers(out + 1, 0);
    memset(chips[chip].written, 0, sizeof chips[chip].written);
    ordered_us = now_us;
    chips[chip].sent = true;
    twi_write((uint8_t)(PCA9685_ADDRESS + chip), 5);
}

/* Everything from the first output that changed to the last, in one burst: 16 take 1.5 ms. */
static bool order_changes(uint8_t chip, uint32_t now_us) {
    chip_t *c = &chips[chip];
    uint8_t first = PCA9685_OUTPUTS, last = 0;
    for (uint8_t i = 0; i < PCA9685_OUTPUTS; i++) {
        if (c->wanted[i] != c->written[i]) {
            first = first == PCA9685_OUTPUTS ? i : first;
            last = i;
        }
    }
    if (first == PCA9685_OUTPUTS) {
        return false;
    }
    uint8_t *out = twi_buffer();
    *out++ = (uint8_t)(PCA9685_LED0 + 4u * first);
    for (uint8_t i = first; i <= last; i++, out += 4) {
        pca9685_registers(out, c->wanted[i]);
        c->written[i] = c->wanted[i];
    }
    ordered_us = now_us;
    c->sent = true;
    twi_write((uint8_t)(PCA9685_ADDRESS + chip), (uint8_t)(out - twi_buffer()));
    return true;
}

/* All low; the next chips_put brings back what is still wanted. */
static void forget(chip_t *c) {
    memset(c->wanted, 0, sizeof c->wanted);
    memset(c->pulses_us, 0, sizeof c->pulses_us);
}

static void lose(uint8_t chip, uint32_t now_us) {
    chip_t *c = &chips[chip];
    enable_output(chip, false);
    c->lost = true;
    c->step = ABSENT;
    c->since_us = now_us;
    forget(c);
}

static void failed(uint8_t chip, uint32_t now_us) {
    chip_t *c = &chips[chip];
    memset(c->written, 0xFF, sizeof c->written); /* nobody knows what arrived: write all again */
    if (c->step == ABSENT || ++c->failures >= FAILURES_MAX) {
        c->failures = 0;
        lose(chip, now_us);
    } else if (c->step == WATCH) {
        c->step = RUN;
    } else if (c->step != RUN) {
        c->step = ALL_OFF;
    }
}

static void answered(uint8_t chip, uint32_t now_us) {
    chip_t *c = &chips[chip];
    c->failures = 0;
    switch (c->step) {
    case ABSENT:
    case ALL_OFF: c->step = FRAME_WAIT; c->since_us = now_us; break;
    case SLEEP: c->step = MODE2; break;
    case MODE2: c->step = PRESCALE; break;
    case PRESCALE: c->step = WAKE; break;
    case WAKE: c->step = WAKE_WAIT; c->since_us = now_us; break;
    case WATCH:
        /* It forgot its settings: its supply sagged. */
        c->step = RUN;
        if (twi_buffer()[0] != PCA9685_MODE1_AI) {
            lose(chip, now_us);
        }
        break;
    default: break;
    }
}

/* One thing for this chip, if there is one to do now. */
static void next(uint8_t chip, uint32_t now_us) {
    chip_t *c = &chips[chip];
    uint32_t gone_us = now_us - c->since_us;
    switch (c->step) {
    case ABSENT:
        if (gone_us >= SEARCH_US) {
            c->since_us = now_us;
            order_all_off(chip, now_us);
        }
        break;
    case ALL_OFF: order_all_off(chip, now_us); break;
    case FRAME_WAIT:
        if (gone_us >= FRAME_WAIT_US) {
            c->step = SLEEP;
        }
        break;
    case SLEEP: order(chip, PCA9685_MODE1, PCA9685_MODE1_AI | PCA9685_MODE1_SLEEP, now_us); break;
    case MODE2: order(chip, PCA9685_MODE2, PCA9685_MODE2_OUTDRV, now_us); break;
    case PRESCALE:
        c->rate_now_hz = c->rate_hz;
        c->prescale = pca9685_prescale(c->rate_hz, c->oscillator);
        c->ticks_per_us_q16 = pca9685_ticks_per_us_q16(c->prescale, c->oscillator);
        order(chip, PCA9685_PRESCALE, c->prescale, now_us);
        break;
    case WAKE: order(chip, PCA9685_MODE1, PCA9685_MODE1_AI, now_us); break;
    case WAKE_WAIT:
        if (gone_us >= WAKE_US) {
            c->lost = false;
            c->step = RUN;
            c->watched_us = now_us;
            enable_output(chip, true);
        }
        break;
    default:
        if (c->rate_hz != c->rate_now_hz) {
            forget(c);
            c->step = ALL_OFF;
        } else if (now_us - c->watched_us >= WATCH_US) {
            c->watched_us = now_us;
            c->step = WATCH;
            twi_buffer()[0] = PCA9685_MODE1;
            ordered_us = now_us;
            c->sent = true;
            twi_read((uint8_t)(PCA9685_ADDRESS + chip));
        } else {
            (void)order_changes(chip, now_us);
        }
    }
}

void chips_run(uint32_t now_us) {
    enum twi_state s = twi_state();
    if (s == TWI_BUSY) {
        if (now_us - ordered_us < STUCK_US) {
            return;
        }
        twi_recover();
        s = TWI_FAILED;
    }
    if (chips[turn].sent) {
        chips[turn].sent = false;
        if (s == TWI_FAILED) {
            failed(turn, now_us);
        } else {
            answered(turn, now_us);
        }
    }
    for (uint8_t i = 0; i < CHIPS; i++) {
        turn = (uint8_t)(turn + 1u == CHIPS ? 0u : turn + 1u);
        if (turn < n_chips) {
            next(turn, now_us);
        }
        if (chips[turn].sent) {
            return;
        }
    }
}

static bool preparing(void) {
    for (uint8_t i = 0; i < CHIPS; i++) {
        if (chips[i].step != ABSENT && chips[i].step < RUN) {
            return true;
        }
    }
    return false;
}

void chips_start(uint32_t now_us) {
    DDRA |= (uint8_t)(7u * CHIP_OFF_BIT);
    PORTA |= (uint8_t)(7u * CHIP_OFF_BIT);
    n_chips = CHIPS;
    for (uint8_t i = 0; i < CHIPS; i++) {
        chips[i].rate_hz = 50;
        chips[i].oscillator = BOARD_OSCILLATOR_NOMINAL;
        chips[i].lost = true;
        chips[i].since_us = now_us - SEARCH_US;
    }
    /* Each is asked once in the first few ms; who answers is made ready. */
    while (clock_us() - now_us < 10000u || (preparing() && clock_us() - now_us < SEARCH_US / 2u)) {
        chips_run(clock_us());
    }
    n_chips = 0;
    for (uint8_t i = 0; i < CHIPS; i++) {
        if (chips[i].step != ABSENT) {
            n_chips = (uint8_t)(i + 1u);
        }
    }
}

uint8_t chips_channels(void) { return (uint8_t)(n_chips * PCA9685_OUTPUTS); }

bool chips_lost(uint8_t chip) { return chip < n_chips && chips[chip].lost; }

void chips_oscillator(uint8_t chip, uint16_t oscillator) {
    if (chips[chip].oscillator != oscillator) {
        chips[chip].oscillator = oscillator;
        chips[chip].rate_now_hz = 0; /* set the prescaler again */
    }
}

void chips_rate(uint8_t chip, uint16_t frame_hz) { chips[chip].rate_hz = frame_hz; }

void chips_put(uint8_t channel, uint16_t pulse_us, uint16_t low_us, uint16_t high_us) {
    chip_t *c = &chips[channel / PCA9685_OUTPUTS];
    uint8_t i = channel % PCA9685_OUTPUTS;
    if (c->step < RUN || c->pulses_us[i] == pulse_us) {
        return; /* not ready: it is told when it is */
    }
    c->pulses_us[i] = pulse_us;
    c->wanted[i] = pulse_us == 0u ? 0u : pca9685_ticks(pulse_us, low_us, high_us, c->ticks_per_us_q16);
}

void chips_cut(bool off) {
    for (uint8_t i = 0; i < n_chips; i++) {
        enable_output(i, !off && !chips[i].lost && chips[i].step >= RUN);
    }
}
