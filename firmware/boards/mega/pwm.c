/* Twelve pulses from four 16-bit timers at .5 us.
 *
 * Fast PWM with the frame in ICR (mode 14): the pin rises at the frame's start and falls at the compare, a new
 * width is taken over at the frame's start by the hardware. A compare register of 0 would still give a spike, so
 * "low" disconnects the pin, and only after the pulse: half a pulse would send a servo to its stop.
 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "mega.h"

typedef struct {
    volatile uint8_t *tccra, *timsk, *tifr;
    volatile uint16_t *ocr, *icr, *tcnt;
    uint8_t com, interrupt;
} output_t;

#define OUTPUT(timer, letter)                                                                            \
    { &TCCR##timer##A, &TIMSK##timer, &TIFR##timer, &OCR##timer##letter, &ICR##timer, &TCNT##timer,      \
      _BV(COM##timer##letter##1), _BV(OCIE##timer##letter) }

static const output_t outputs[PWM_CHANNELS] = {
    OUTPUT(1, A), OUTPUT(1, B), OUTPUT(1, C), OUTPUT(3, A), OUTPUT(3, B), OUTPUT(3, C),
    OUTPUT(4, A), OUTPUT(4, B), OUTPUT(4, C), OUTPUT(5, A), OUTPUT(5, B), OUTPUT(5, C),
};
#define SLOW_FRAME_TICKS 19999u /* 100 Hz */
#define LONGEST_TICKS (2u * BOARD_PULSE_MAX_US + 16u)
static uint16_t widths_us[PWM_CHANNELS];

/* The pulse is over: let go. */
#define END_OF_PULSE(timer, letter)                              \
    ISR(TIMER##timer##_COMP##letter##_vect) {                    \
        TCCR##timer##A &= (uint8_t)~_BV(COM##timer##letter##1);  \
        TIMSK##timer &= (uint8_t)~_BV(OCIE##timer##letter);      \
    }
END_OF_PULSE(1, A) END_OF_PULSE(1, B) END_OF_PULSE(1, C)
END_OF_PULSE(3, A) END_OF_PULSE(3, B) END_OF_PULSE(3, C)
END_OF_PULSE(4, A) END_OF_PULSE(4, B) END_OF_PULSE(4, C)
END_OF_PULSE(5, A) END_OF_PULSE(5, B) END_OF_PULSE(5, C)

void pwm_start(void) {
    static volatile uint8_t *const tccrb[4] = {&TCCR1B, &TCCR3B, &TCCR4B, &TCCR5B};
    PORTB &= (uint8_t)~0xE0u;
    PORTE &= (uint8_t)~0x38u;
    PORTH &= (uint8_t)~0x38u;
    PORTL &= (uint8_t)~0x38u;
    DDRB |= 0xE0u;
    DDRE |= 0x38u;
    DDRH |= 0x38u;
    DDRL |= 0x38u;
    for (uint8_t i = 0; i < 4u; i++) {
        const output_t *o = &outputs[3u * i];
        *o->icr = 39999u; /* 50 Hz */
        *o->tccra = _BV(WGM11);
        *tccrb[i] = _BV(WGM13) | _BV(WGM12) | _BV(CS11);
    }
}

void pwm_rate(uint8_t timer, uint16_t frame_hz) {
    const output_t *o = &outputs[3u * timer];
    uint16_t top = (uint16_t)(2000000u / frame_hz - 1u);
    if (*o->icr == top) {
        return;
    }
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        /* Past the new end it would count on to 65535: end the frame now, every pulse in it is over. */
        if (*o->tcnt >= top - 8u) {
            *o->tcnt = (uint16_t)(top - 8u);
        }
        *o->icr = top;
    }
}

void pwm_put(uint8_t channel, uint16_t pulse_us) {
    const output_t *o = &outputs[channel];
    if (widths_us[channel] == pulse_us) {
        return;
    }
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        uint16_t count = *o->tcnt;
        /* The chip takes a width over at the frame's start, simavr at once, which tears the pulse under way. Frames of
         * 10 ms and more leave time to wait for its end: the next call, 4 ms later, comes after it. */
        if (pulse_us != 0u && *o->icr >= SLOW_FRAME_TICKS && count < LONGEST_TICKS) {
            return;
        }
        if (pulse_us != 0u) {
            *o->timsk &= (uint8_t)~o->interrupt;
            *o->ocr = (uint16_t)(2u * pulse_us - 1u); /* high for one tick more than the register */
            *o->tccra |= o->com;
        } else if (count < LONGEST_TICKS || *o->icr - count < 32u) {
            /* A pulse is or may be under way: let go when it ends, a frame later at worst. */
            *o->tifr = o->interrupt; /* OCFnx has the place of OCIEnx; a one clears it */
            *o->timsk |= o->interrupt;
        } else {
            *o->tccra &= (uint8_t)~o->com;
        }
    }
    widths_us[channel] = pulse_us;
}
