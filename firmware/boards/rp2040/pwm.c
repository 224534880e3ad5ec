/* Sixteen pulses from eight slices at .5 us. Widths and frames are taken over by the hardware at a frame's end, and
 * a width of 0 is a true low: no pulse is ever cut. */
#include "rp2040.h"

static uint32_t slice_of(uint8_t pair) { return PWM + 0x14u * ((pair + FIRST_PWM_GPIO / 2u) & 7u); }

void pwm_start(void) {
    for (uint8_t pair = 0; pair < CHANNELS / 2u; pair++) {
        uint32_t slice = slice_of(pair);
        REG(slice + 4u) = (62u << 4) | 8u; /* 125 MHz / 62.5 = 2 MHz */
        REG(slice + 0x0Cu) = 0;
        REG(slice + 0x10u) = 39999u;
        REG(slice) = 1u;
    }
    for (uint8_t i = 0; i < CHANNELS; i++) {
        gpio_use((uint8_t)(FIRST_PWM_GPIO + i), GPIO_PWM);
    }
}

void pwm_rate(uint8_t pair, uint16_t frame_hz) { REG(slice_of(pair) + 0x10u) = 2000000u / frame_hz - 1u; }

void pwm_put(uint8_t channel, uint16_t pulse_us) {
    uint32_t compare = slice_of(channel / 2u) + 0x0Cu, width = 2u * pulse_us, was = REG(compare);
    REG(compare) = (channel & 1u) ? (was & 0xFFFFu) | (width << 16) : (was & 0xFFFF0000u) | width;
}
