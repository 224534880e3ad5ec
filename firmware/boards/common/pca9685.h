/* The PCA9685 (NXP): 16 outputs of 12 bits from one oscillator and one frame rate a chip. Numbers only. */
#ifndef ANIMAFACE_PCA9685_H
#define ANIMAFACE_PCA9685_H

#include <stdint.h>

#define PCA9685_OUTPUTS 16u
#define PCA9685_ADDRESS 0x40u /* of the first; the next ones follow */

#define PCA9685_MODE1 0x00u
#define PCA9685_MODE2 0x01u
#define PCA9685_LED0 0x06u /* four bytes each: ON low, high, OFF low, high */
#define PCA9685_ALL_LED 0xFAu
#define PCA9685_PRESCALE 0xFEu

#define PCA9685_MODE1_AI 0x20u    /* the register number counts up */
#define PCA9685_MODE1_SLEEP 0x10u /* oscillator off; the prescaler can only be set then */
#define PCA9685_MODE2_OUTDRV 0x04u
#define PCA9685_FULL_OFF 0x10u /* in OFF high: a true low */

/* Prescaler for `frame_hz` on a chip whose oscillator runs at `oscillator`/10000 of 25 MHz. Rounded towards the
 * slower rate: an analogue servo stands a long frame better than a short one. */
uint8_t pca9685_prescale(uint16_t frame_hz, uint16_t oscillator);
/* How many ticks of its counter a microsecond is, x 65536. */
uint32_t pca9685_ticks_per_us_q16(uint8_t prescale, uint16_t oscillator);
/* Ticks of a pulse of `pulse_us`: the nearest that lies inside the limits; 0: none. No division. */
uint16_t pca9685_ticks(uint16_t pulse_us, uint16_t low_us, uint16_t high_us, uint32_t ticks_per_us_q16);
/* The four bytes of an output: on at the frame's start for `ticks`; 0: a true low. */
void pca9685_registers(uint8_t out[4], uint16_t ticks);

#endif
