/* The emulated board: what emulator.c runs, what pins.c and serial.c hang on it, what Python calls. */
#ifndef EMULATOR_H
#define EMULATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "avr_uart.h"
#include "pca9685_model.h"
#include "sim_avr.h"

#define CPU_HZ 16000000u
#define BYTE_CYCLES 160u /* 10 bits at 1 Mbaud */
#define CHIPS 3
#define PWM_OUTPUTS 12
#define CHANNELS (PWM_OUTPUTS + CHIPS * MODEL_OUTPUTS)
#define LINE_SIZE 65536u /* bytes under way, each direction; a power of two */
#define PULSES_SIZE 65536u

typedef struct {
    uint64_t at;
    uint8_t byte;
} timed_byte_t;

typedef struct {
    timed_byte_t items[LINE_SIZE];
    uint32_t head, count;
} line_t;

typedef struct {
    uint64_t rise;
    uint32_t width; /* cycles */
    uint32_t channel;
} pulse_t;

typedef struct emu {
    avr_t *avr;
    line_t to_board, from_board;
    avr_uart_t *uart;
    uint32_t late_reads; /* bytes that came while two already waited: an overrun on the chip itself */
    uint64_t line_free; /* when the byte being sent by the board is out */
    bool xoff;
    pca_model_t chips[CHIPS];
    int chip_addressed;
    avr_irq_t *pwm_irqs[PWM_OUTPUTS];
    uint64_t high_since[PWM_OUTPUTS]; /* 0: low */
    bool estop_open, supply;
    uint64_t supply_changed;
    double width[CHANNELS];           /* newest pulse, cycles */
    uint64_t seen[CHANNELS];          /* its end */
    pulse_t pulses[PULSES_SIZE];
    uint32_t pulse_head, pulse_count, pulses_lost;
    uint32_t resets, lost_bytes;
    void (*core_reset)(struct avr_t *avr);
} emu_t;

/* --- pins.c: servo pulses, emergency stop, enables, I2C */
void connect_pins(emu_t *e);
void look_at_port_a(emu_t *e);
void drive_estop(emu_t *e);
void float_pwm_pins(emu_t *e); /* at a reset: no pulse */
void on_chip_pulse(void *owner, int chip, int output, uint64_t rise, double width);

/* --- serial.c: the line to the host, byte by byte on the CPU's time */
void connect_uart(emu_t *e);
bool hand_over(emu_t *e, uint64_t *due); /* the byte that is due now; else when to look again, ~0 for never */

/* --- for Python's ctypes. Times are cycles; `chips`: a bit for each PCA9685 that is there */
emu_t *emu_new(const uint8_t *flash, uint32_t size, const uint8_t *eeprom, uint32_t eeprom_size, uint32_t chips);
void emu_free(emu_t *e);
void emu_run(emu_t *e, uint64_t to_cycle);
uint64_t emu_cycle(const emu_t *e);
int emu_state(const emu_t *e);
uint32_t emu_receive(emu_t *e, const uint8_t *data, uint32_t size, uint64_t last_bit);
uint64_t emu_next_output(const emu_t *e);
uint32_t emu_fetch(emu_t *e, uint8_t *out, uint32_t max, uint64_t until);
void emu_estop(emu_t *e, int open);
int emu_supply(const emu_t *e, uint64_t *changed);
void emu_analogue(emu_t *e, uint32_t input, uint32_t millivolts);
void emu_chip(emu_t *e, uint32_t chip, int present, double oscillator_hz);
void emu_chip_sag(emu_t *e, uint32_t chip);
uint8_t emu_chip_register(const emu_t *e, uint32_t chip, uint8_t number);
int emu_hang(emu_t *e);
uint32_t emu_pc(const emu_t *e);
void emu_reset(emu_t *e);
uint32_t emu_resets(const emu_t *e);
uint32_t emu_late_reads(const emu_t *e);
void emu_eeprom(emu_t *e, uint8_t *out, uint32_t size);
void emu_widths(emu_t *e, double *width_us, uint64_t *seen);
uint32_t emu_pulses(emu_t *e, pulse_t *out, uint32_t max);

#endif
