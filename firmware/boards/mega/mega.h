/* Arduino Mega 2560: what is where, and what the files of this board offer each other.
 *
 * Every call returns at once. Interrupts only move bytes, count time and end pulses; there is no float.
 *
 * | channel | pin | | channel | pin |
 * |---|---|---|---|---|
 * | 0 1 2 | 11 12 13 (OC1A B C) | | 6 7 8 | 6 7 8 (OC4A B C) |
 * | 3 4 5 | 5 2 3 (OC3A B C) | | 9 10 11 | 46 45 44 (OC5A B C) |
 * | 12 .. 27, 28 .. 43, 44 .. 59 | PCA9685 at 0x40, 0x41, 0x42 on SDA 20, SCL 21 |
 */
#ifndef ANIMAFACE_MEGA_H
#define ANIMAFACE_MEGA_H

#include <stdbool.h>
#include <stdint.h>

#include "../../core/board.h"

#define PWM_CHANNELS 12u
#define CHIPS 3u
#define ALL_CHANNELS 60u /* 12 + 3 x 16 */

/* Emergency stop: pin 22 (PA0), pulled up, closed to ground; open is stop. Servo supply: pin 23 (PA1), high is
 * on; wants a pull-down. Output enable of the chips: pins 24, 25, 26 (PA2..4), high is off; want pull-ups. */
#define ESTOP_BIT 0x01u
#define SUPPLY_BIT 0x02u
#define CHIP_OFF_BIT 0x04u
/* Analogue inputs, 0..5 V: A0 supply current, A1 supply voltage through a divider. */
#define CURRENT_INPUT 0u
#define VOLTAGE_INPUT 1u

uint8_t reset_cause(void);

void clock_start(void);
uint32_t clock_us(void);

void uart_start(void);
uint8_t uart_waiting(void);
uint8_t uart_take(void);
uint8_t uart_room(void);
void uart_give(uint8_t byte);
uint8_t uart_lost(void); /* bytes that came too fast, since last asked */

void pwm_start(void);
void pwm_rate(uint8_t timer, uint16_t frame_hz); /* 4 timers of 3 channels */
void pwm_put(uint8_t channel, uint16_t pulse_us); /* 0: low, at the end of a pulse under way */

enum twi_state { TWI_IDLE = 0, TWI_BUSY, TWI_DONE, TWI_FAILED };
#define TWI_MAX 65u /* register and 16 outputs */
void twi_start(void);
enum twi_state twi_state(void); /* DONE and FAILED stay until the next order */
uint8_t *twi_buffer(void);      /* fill before an order, only while not BUSY */
void twi_write(uint8_t address, uint8_t size);
void twi_read(uint8_t address); /* writes one byte (the register), reads one into the buffer */
void twi_recover(void);         /* after a transfer that never ended */

void chips_start(uint32_t now_us); /* returns when it is known who is there (under .2 s) */
uint8_t chips_channels(void);
void chips_oscillator(uint8_t chip, uint16_t oscillator);
void chips_rate(uint8_t chip, uint16_t frame_hz);
void chips_put(uint8_t channel, uint16_t pulse_us, uint16_t low_us, uint16_t high_us); /* 0 .. 47 */
void chips_run(uint32_t now_us);
bool chips_lost(uint8_t chip);
void chips_cut(bool off); /* every chip's output enable */

void store_start(board_t *b); /* gives the board what it remembers, and a boot id */
uint32_t store_boot_id(void);
void store_run(board_t *b);

void inputs_start(void);
void inputs_run(board_t *b, uint32_t now_us);

void outputs_run(board_t *b, uint32_t now_us);

#endif
