/* The servo board's firmware core as a library for the PC: the virtual board is this very code.
 *
 * Loaded by ctypes (sim/boardcore.py), never imported: PyInit__boardcore only keeps setuptools' build of an
 * "extension" happy, so neither Python's headers nor its ABI are needed. The heap is used here, not in the core.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../firmware/boards/common/pca9685.h"
#include "../firmware/core/board.h"

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

#define SUBSTEP_US 1000u
#define OWN_CHANNELS 12u /* as the Mega: the rest hangs on PCA9685, 16 a chip */
#define CHIPS 4u

typedef struct {
    board_t board;
    uint64_t now_us;
    uint64_t next_frame_us[BOARD_MAX_CHANNELS];
    uint16_t oscillator[CHIPS]; /* as it really is, 1/10000 of 25 MHz */
    uint16_t latched_us[BOARD_MAX_CHANNELS]; /* a PWM timer takes a new width over at the frame's start */
} board_sim_t;

API void *PyInit__boardcore(void);
API board_sim_t *boardsim_new(uint8_t board_id, uint8_t n_channels, uint32_t boot_id, uint8_t reset_cause,
                              uint64_t now_us);
API void boardsim_free(board_sim_t *s);
API void boardsim_advance(board_sim_t *s, uint64_t to_us);
API void boardsim_receive(board_sim_t *s, const uint8_t *data, uint32_t size);
API uint32_t boardsim_send(board_sim_t *s, uint8_t *out, uint32_t max);
API void boardsim_pulses(const board_sim_t *s, uint16_t *latched_us);
API void boardsim_restore(board_sim_t *s, uint8_t channel, uint16_t pulse_us);
API void boardsim_estop(board_sim_t *s, uint8_t open);
API void boardsim_supply(board_sim_t *s, uint16_t supply_mv, uint16_t current_ma);
API void boardsim_oscillator(board_sim_t *s, uint8_t chip, uint16_t oscillator);
API uint8_t boardsim_state(const board_sim_t *s);
API uint32_t boardsim_size(void);

void *PyInit__boardcore(void) { return 0; }

uint32_t boardsim_size(void) { return (uint32_t)sizeof(board_t); }

board_sim_t *boardsim_new(uint8_t board_id, uint8_t n_channels, uint32_t boot_id, uint8_t reset_cause,
                          uint64_t now_us) {
    board_sim_t *s = calloc(1, sizeof *s);
    if (s != NULL) {
        board_init(&s->board, BOARD_KIND_PC, board_id, n_channels, boot_id, reset_cause);
        s->now_us = now_us;
        for (uint8_t i = 0; i < CHIPS; i++) {
            s->oscillator[i] = BOARD_OSCILLATOR_NOMINAL;
        }
        board_tick(&s->board, (uint32_t)now_us);
    }
    return s;
}

void boardsim_free(board_sim_t *s) { free(s); }

/* The slowest frame that a servo on the chip asks for, Hz. */
static uint16_t chip_hz(const board_t *b, uint8_t first) {
    uint16_t hz = 0;
    for (uint8_t i = first; i < b->n_channels && i < first + PCA9685_OUTPUTS; i++) {
        uint16_t own = b->channels[i].config.frame_hz;
        if ((b->channels[i].flags & BOARD_CH_CONFIGURED) && (hz == 0u || own < hz)) {
            hz = own;
        }
    }
    return hz;
}

/* A PCA9685: whole ticks of an oscillator that is not quite what the setup says; returns its frame, us. */
static uint64_t latch_chip(board_sim_t *s, uint8_t i) {
    const board_t *b = &s->board;
    uint8_t chip = (uint8_t)((i - OWN_CHANNELS) / PCA9685_OUTPUTS);
    uint16_t assumed = chip < 3u ? b->setup[BOARD_SETUP_OSCILLATOR + chip] : BOARD_OSCILLATOR_NOMINAL;
    uint8_t prescale = pca9685_prescale(chip_hz(b, (uint8_t)(OWN_CHANNELS + PCA9685_OUTPUTS * chip)), assumed);
    uint64_t unit = 400u * ((uint64_t)prescale + 1u); /* us x oscillator in a tick */
    uint16_t pulse_us = board_pulse_us(b, i), ticks = 0;
    if (pulse_us != 0u) {
        const board_channel_config_t *c = &b->channels[i].config;
        ticks = pca9685_ticks(pulse_us, c->low_us, c->high_us, pca9685_ticks_per_us_q16(prescale, assumed));
    }
    s->latched_us[i] = (uint16_t)((ticks * unit + s->oscillator[chip] / 2u) / s->oscillator[chip]);
    return 4096u * unit / s->oscillator[chip];
}

static void latch(board_sim_t *s) {
    for (uint8_t i = 0; i < s->board.n_channels; i++) {
        if (s->now_us >= s->next_frame_us[i]) {
            uint16_t hz = s->board.channels[i].config.frame_hz;
            uint64_t period_us = 1000000u / (hz == 0u ? 50u : hz);
            if (i >= OWN_CHANNELS && hz != 0u) {
                period_us = latch_chip(s, i);
            } else {
                s->latched_us[i] = board_pulse_us(&s->board, i);
            }
            s->next_frame_us[i] = (s->now_us / period_us + 1u) * period_us;
        }
    }
}

void boardsim_advance(board_sim_t *s, uint64_t to_us) {
    while (s->now_us < to_us) {
        uint64_t next_us = (s->now_us / SUBSTEP_US + 1u) * SUBSTEP_US;
        s->now_us = next_us < to_us ? next_us : to_us;
        board_tick(&s->board, (uint32_t)s->now_us);
        latch(s);
    }
}

void boardsim_receive(board_sim_t *s, const uint8_t *data, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        board_rx(&s->board, data[i]);
    }
}

uint32_t boardsim_send(board_sim_t *s, uint8_t *out, uint32_t max) {
    return board_tx(&s->board, out, (uint16_t)(max > 0xFFFFu ? 0xFFFFu : max));
}

void boardsim_pulses(const board_sim_t *s, uint16_t *latched_us) {
    for (uint8_t i = 0; i < s->board.n_channels; i++) {
        latched_us[i] = s->latched_us[i];
    }
}

void boardsim_restore(board_sim_t *s, uint8_t channel, uint16_t pulse_us) {
    board_restore_pulse(&s->board, channel, pulse_us);
}

void boardsim_estop(board_sim_t *s, uint8_t open) { board_input_estop(&s->board, open != 0u); }

void boardsim_supply(board_sim_t *s, uint16_t supply_mv, uint16_t current_ma) {
    board_input_supply(&s->board, supply_mv, current_ma);
}

void boardsim_oscillator(board_sim_t *s, uint8_t chip, uint16_t oscillator) {
    if (chip < CHIPS && oscillator != 0u) {
        s->oscillator[chip] = oscillator;
    }
}

uint8_t boardsim_state(const board_sim_t *s) { return s->board.state; }
