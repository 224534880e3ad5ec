#include "pca9685.h"

/* Oscillator in units of 2500 Hz: 25 MHz is 10000 of them, as the setup counts. */
#define UNIT_HZ 2500u

uint8_t pca9685_prescale(uint16_t frame_hz, uint16_t oscillator) {
    uint32_t frames = 4096u * (uint32_t)(frame_hz == 0u ? 50u : frame_hz);
    uint32_t divide = ((uint32_t)oscillator * UNIT_HZ + frames - 1u) / frames;
    if (divide < 4u) {
        return 3u;
    }
    return divide > 256u ? 255u : (uint8_t)(divide - 1u);
}

uint32_t pca9685_ticks_per_us_q16(uint8_t prescale, uint16_t oscillator) {
    /* Hz / 1e6 / divide x 65536 = oscillator x 163.84 / divide */
    return ((uint32_t)oscillator * 16384u / ((uint32_t)prescale + 1u) + 50u) / 100u;
}

uint16_t pca9685_ticks(uint16_t pulse_us, uint16_t low_us, uint16_t high_us, uint32_t ticks_per_us_q16) {
    uint32_t exact = pulse_us * ticks_per_us_q16; /* 2600 x 491,520 fits */
    uint32_t nearest = (exact + 0x8000u) & 0xFFFF0000u;
    if (nearest > high_us * ticks_per_us_q16) {
        nearest -= 0x10000u;
    } else if (nearest < low_us * ticks_per_us_q16) {
        nearest += 0x10000u;
    }
    return (uint16_t)(nearest >> 16);
}

void pca9685_registers(uint8_t out[4], uint16_t ticks) {
    out[0] = 0;
    out[1] = 0;
    out[2] = (uint8_t)(ticks & 0xFFu);
    out[3] = ticks == 0u ? (uint8_t)PCA9685_FULL_OFF : (uint8_t)((ticks >> 8) & 0x0Fu);
}
