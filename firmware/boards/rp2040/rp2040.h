/* Raspberry Pi Pico (RP2040): pins, registers, and what the files of this board offer each other.
 *
 * | | GPIO |
 * |---|---|
 * | line: TX, RX, 1 Mbaud through a USB-serial adapter of 3.3 V | 0, 1 |
 * | channels 0 .. 15; pairs (0,1), (2,3) ... share a frame rate | 2 .. 17 |
 * | emergency stop, closed to ground | 20 |
 * | servo supply, high is on (pull-down) | 21 |
 * | supply current, supply voltage, 0..3.3 V | 26, 27 |
 */
#ifndef ANIMAFACE_RP2040_H
#define ANIMAFACE_RP2040_H

#include <stdbool.h>
#include <stdint.h>

#include "../../core/board.h"

#define CHANNELS 16u
#define FIRST_PWM_GPIO 2u
#define ESTOP_GPIO 20u
#define SUPPLY_GPIO 21u
#define CURRENT_GPIO 26u
#define VOLTAGE_GPIO 27u

#define REG(address) (*(volatile uint32_t *)(address))
#define SET(address) REG((address) + 0x2000u)
#define CLEAR(address) REG((address) + 0x3000u)
#define RESETS 0x4000C000u
#define CLOCKS 0x40008000u
#define PSM 0x40010000u
#define IO_BANK0 0x40014000u
#define PADS_BANK0 0x4001C000u
#define XOSC 0x40024000u
#define PLL_SYS 0x40028000u
#define UART0 0x40034000u
#define ADC 0x4004C000u
#define PWM 0x40050000u
#define TIMER 0x40054000u
#define WATCHDOG 0x40058000u
#define ROSC 0x40060000u
#define CHIP_RESET 0x40064008u
#define SIO 0xD0000000u
#define NVIC_ENABLE 0xE000E100u
#define UART0_IRQ 20u

enum gpio_function { GPIO_UART = 2, GPIO_PWM = 4, GPIO_SIO = 5 };
void gpio_use(uint8_t gpio, enum gpio_function function);

void clocks_start(void);
static inline uint32_t clock_us(void) { return REG(TIMER + 0x28u); }
uint8_t reset_cause(void);
uint32_t random_boot_id(void);
void watchdog_start(uint32_t us);
static inline void watchdog_feed(uint32_t us) { REG(WATCHDOG + 4u) = 2u * us; } /* it counts by two (RP2040-E1) */

void uart_start(void);
void uart_interrupt(void);
uint16_t uart_waiting(void);
uint8_t uart_take(void);
bool uart_room(void);
void uart_give(uint8_t byte);

void pwm_start(void);
void pwm_rate(uint8_t pair, uint16_t frame_hz);
void pwm_put(uint8_t channel, uint16_t pulse_us);

void store_start(board_t *b);
void store_run(board_t *b);

void inputs_start(void);
void inputs_run(board_t *b, uint32_t now_us);

int main(void);

#endif
