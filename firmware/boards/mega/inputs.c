/* Emergency stop, servo supply, analogue inputs. */
#include <avr/io.h>

#include "mega.h"

#define ADC_EVERY_US 2000u

static uint32_t seen_us, converted_us;
static uint8_t open_for, input;
static uint16_t averages_q4[2]; /* ADC counts x 16 */

static void convert(uint8_t which) {
    ADMUX = (uint8_t)(_BV(REFS0) | which); /* against the board's 5 V */
    ADCSRA = _BV(ADEN) | _BV(ADSC) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0); /* 125 kHz: 104 us */
}

void inputs_start(void) {
    DDRA = (uint8_t)((DDRA & ~ESTOP_BIT) | SUPPLY_BIT);
    PORTA = (uint8_t)((PORTA | ESTOP_BIT) & ~SUPPLY_BIT);
    convert(CURRENT_INPUT);
}

/* Two looks a millisecond apart: faster than a relay falls, slower than a spike from a motor. */
static void look_at_stop(board_t *b, uint32_t now_us) {
    if (now_us - seen_us < 1000u) {
        return;
    }
    seen_us = now_us;
    if (PINA & ESTOP_BIT) {
        open_for = open_for < 2u ? (uint8_t)(open_for + 1u) : open_for;
    } else {
        open_for = 0;
    }
    board_input_estop(b, open_for >= 2u);
}

static uint16_t millivolts(uint16_t average_q4) {
    return (uint16_t)(((uint32_t)average_q4 * 625u) >> 11); /* 5000 / 1024 / 16 */
}

static void report(board_t *b) {
    uint16_t current_mv = millivolts(averages_q4[CURRENT_INPUT]), per_ma_uv = b->setup[BOARD_SETUP_CURRENT_UV_PER_MA];
    uint16_t zero_mv = b->setup[BOARD_SETUP_CURRENT_ZERO_MV], ratio = b->setup[BOARD_SETUP_VOLTAGE_PERMILLE];
    uint32_t current_ma = 0, supply_mv = 0;
    if (per_ma_uv != 0u && current_mv > zero_mv) {
        current_ma = (uint32_t)(current_mv - zero_mv) * 1000u / per_ma_uv;
    }
    if (ratio != 0u) {
        supply_mv = (uint32_t)millivolts(averages_q4[VOLTAGE_INPUT]) * ratio / 1000u;
    }
    board_input_supply(b, supply_mv > 0xFFFFu ? 0xFFFFu : (uint16_t)supply_mv,
                       current_ma > 0xFFFFu ? 0xFFFFu : (uint16_t)current_ma);
}

void inputs_run(board_t *b, uint32_t now_us) {
    look_at_stop(b, now_us);
    if (now_us - converted_us >= ADC_EVERY_US && !(ADCSRA & _BV(ADSC))) {
        uint16_t *average = &averages_q4[input];
        converted_us = now_us;
        *average = (uint16_t)(*average - *average / 4u + ADC * 4u);
        input ^= 1u;
        convert(input);
        if (input == 0u) {
            report(b);
        }
    }
    if (board_supply_on(b)) {
        PORTA |= SUPPLY_BIT;
    } else {
        PORTA &= (uint8_t)~SUPPLY_BIT;
    }
}
