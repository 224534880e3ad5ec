/* Microseconds in steps of 4, from timer 0. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "mega.h"

static volatile uint32_t overflows;

ISR(TIMER0_OVF_vect) { overflows++; }

void clock_start(void) {
    TCCR0A = 0;
    TCCR0B = _BV(CS01) | _BV(CS00); /* 16 MHz / 64: 4 us, over every 1.024 ms */
    TIMSK0 = _BV(TOIE0);
}

uint32_t clock_us(void) {
    uint32_t high;
    uint8_t low;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        high = overflows;
        low = TCNT0;
        if ((TIFR0 & _BV(TOV0)) && low < 128u) {
            high++; /* it went over just now, the interrupt waits for us */
        }
    }
    return ((high << 8) | low) << 2;
}
