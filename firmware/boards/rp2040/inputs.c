/* Emergency stop, servo supply, analogue inputs. */
#include "rp2040.h"

static uint32_t seen_us, converted_us;
static uint8_t open_for, input;
static uint32_t averages_q4[2]; /* ADC counts of 12 bits x 16 */

static void convert(uint8_t which) { REG(ADC) = 1u | (1u << 2) | ((uint32_t)which << 12); }

void inputs_start(void) {
    REG(PADS_BANK0 + 4u + 4u * ESTOP_GPIO) = 0x5Au; /* input, pull-up, Schmitt */
    REG(IO_BANK0 + 4u + 8u * ESTOP_GPIO) = GPIO_SIO;
    REG(SIO + 0x18u) = 1u << SUPPLY_GPIO;
    REG(SIO + 0x24u) = 1u << SUPPLY_GPIO;
    gpio_use(SUPPLY_GPIO, GPIO_SIO);
    REG(PADS_BANK0 + 4u + 4u * CURRENT_GPIO) = 0x80u; /* analogue: nothing digital */
    REG(PADS_BANK0 + 4u + 4u * VOLTAGE_GPIO) = 0x80u;
    REG(ADC) = 1u;
    while (!(REG(ADC) & (1u << 8))) {
    }
    convert(0);
}

static uint16_t limited(uint32_t value) { return value > 0xFFFFu ? 0xFFFFu : (uint16_t)value; }

static void report(board_t *b) {
    uint32_t current_mv = averages_q4[0] * 3300u / 65536u, supply_mv = averages_q4[1] * 3300u / 65536u, current_ma = 0;
    uint16_t zero_mv = b->setup[BOARD_SETUP_CURRENT_ZERO_MV], per_ma_uv = b->setup[BOARD_SETUP_CURRENT_UV_PER_MA];
    if (per_ma_uv != 0u && current_mv > zero_mv) {
        current_ma = (current_mv - zero_mv) * 1000u / per_ma_uv;
    }
    supply_mv = supply_mv * b->setup[BOARD_SETUP_VOLTAGE_PERMILLE] / 1000u;
    board_input_supply(b, limited(supply_mv), limited(current_ma));
}

void inputs_run(board_t *b, uint32_t now_us) {
    if (now_us - seen_us >= 1000u) {
        seen_us = now_us;
        bool open = (REG(SIO + 4u) & (1u << ESTOP_GPIO)) != 0u;
        open_for = open ? (open_for < 2u ? (uint8_t)(open_for + 1u) : open_for) : 0u;
        board_input_estop(b, open_for >= 2u);
    }
    if (now_us - converted_us >= 2000u && (REG(ADC) & (1u << 8))) {
        uint32_t *average = &averages_q4[input];
        converted_us = now_us;
        *average += 4u * (REG(ADC + 4u) & 0xFFFu) - *average / 4u;
        input ^= 1u;
        convert(input);
        if (input == 0u) {
            report(b);
        }
    }
    REG(board_supply_on(b) ? SIO + 0x14u : SIO + 0x18u) = 1u << SUPPLY_GPIO;
}
