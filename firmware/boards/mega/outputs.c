/* From the core's pulses to timers and chips. */
#include "../common/pca9685.h"
#include "mega.h"

static uint32_t done_us;
static uint16_t rates_hz[CHIPS];

/* Channels that share a timer or a chip share its rate: the slowest asked for, because a fast servo stands slow
 * frames and an analogue one does not stand fast ones. */
static uint16_t slowest(const board_t *b, uint8_t first, uint8_t count) {
    uint16_t hz = 0;
    for (uint8_t i = first; i < first + count && i < b->n_channels; i++) {
        uint16_t own = b->channels[i].config.frame_hz;
        if ((b->channels[i].flags & BOARD_CH_CONFIGURED) && (hz == 0u || own < hz)) {
            hz = own;
        }
    }
    return hz == 0u ? 50u : hz;
}

/* Rates change only with CONFIG and SETUP, which an armed board refuses. */
static void set_rates(const board_t *b) {
    for (uint8_t timer = 0; timer < 4u; timer++) {
        pwm_rate(timer, slowest(b, (uint8_t)(3u * timer), 3));
    }
    for (uint8_t chip = 0; chip < CHIPS; chip++) {
        rates_hz[chip] = slowest(b, (uint8_t)(PWM_CHANNELS + PCA9685_OUTPUTS * chip), PCA9685_OUTPUTS);
        chips_rate(chip, rates_hz[chip]);
        chips_oscillator(chip, b->setup[BOARD_SETUP_OSCILLATOR + chip]);
    }
}

static void chip_run(board_t *b, uint8_t chip) {
    uint8_t first = (uint8_t)(PWM_CHANNELS + PCA9685_OUTPUTS * chip);
    if (first >= b->n_channels) {
        return;
    }
    if (chips_lost(chip)) {
        board_output_lost(b, first, PCA9685_OUTPUTS);
    }
    for (uint8_t i = 0; i < PCA9685_OUTPUTS; i++) {
        const board_channel_config_t *c = &b->channels[first + i].config;
        chips_put((uint8_t)(first - PWM_CHANNELS + i), board_pulse_us(b, (uint8_t)(first + i)), c->low_us, c->high_us);
    }
}

void outputs_run(board_t *b, uint32_t now_us) {
    static uint8_t turn;
    static bool rates_set;
    if (now_us - done_us < BOARD_STEP_US) {
        return;
    }
    done_us = now_us;
    turn++;
    if (b->state != BOARD_ARMED || !rates_set) {
        set_rates(b); /* once more after ARM: the last CONFIG may have come just before it */
        rates_set = b->state == BOARD_ARMED;
    }
    for (uint8_t i = 0; i < PWM_CHANNELS; i++) {
        pwm_put(i, board_pulse_us(b, i));
    }
    for (uint8_t i = 0; i < CHIPS; i++) {
        /* A chip with frames of 10 ms or more gets news every 8 ms, the three not in the same 4. */
        if (rates_hz[i] > 100u || ((turn ^ i) & 1u)) {
            chip_run(b, i);
        }
    }
    chips_cut(b->estop_open);
}
