/* I2C master at 400 kHz, one transfer at a time, byte by byte in the interrupt. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/delay.h>
#include <util/twi.h>

#include "mega.h"

#define GO (_BV(TWINT) | _BV(TWEN) | _BV(TWIE))

static uint8_t buffer[TWI_MAX];
static volatile uint8_t state;
static uint8_t address_rw, size, at;
static bool then_read;

static void end(uint8_t how) {
    TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO);
    state = how;
}

ISR(TWI_vect) {
    switch (TW_STATUS) {
    case TW_START:
    case TW_REP_START:
        TWDR = address_rw;
        TWCR = GO;
        break;
    case TW_MT_SLA_ACK:
    case TW_MT_DATA_ACK:
        if (at < size) {
            TWDR = buffer[at++];
            TWCR = GO;
        } else if (then_read) {
            address_rw |= TW_READ;
            TWCR = GO | _BV(TWSTA);
        } else {
            end(TWI_DONE);
        }
        break;
    case TW_MR_SLA_ACK: TWCR = GO; break; /* one byte only: no acknowledgement for it */
    case TW_MR_DATA_NACK:
        buffer[0] = TWDR;
        end(TWI_DONE);
        break;
    default: end(TWI_FAILED); /* nobody there, or the bus is disturbed */
    }
}

void twi_start(void) {
    TWSR = 0;
    TWBR = 12; /* 16 MHz / (16 + 2 x 12) = 400 kHz */
    TWCR = _BV(TWEN);
    state = TWI_IDLE;
}

enum twi_state twi_state(void) { return (enum twi_state)state; }

uint8_t *twi_buffer(void) { return buffer; }

static void order(uint8_t address, uint8_t n, bool read) {
    address_rw = (uint8_t)(address << 1);
    size = n;
    at = 0;
    then_read = read;
    state = TWI_BUSY;
    TWCR = GO | _BV(TWSTA);
}

void twi_write(uint8_t address, uint8_t n) { order(address, n, false); }

void twi_read(uint8_t address) { order(address, 1, true); }

void twi_recover(void) {
    /* A chip that lost a clock may hold SDA down for up to nine more: give them (90 us). */
    TWCR = 0;
    PORTD &= (uint8_t)~_BV(PD0);
    for (uint8_t i = 0; i < 9u; i++) {
        DDRD |= _BV(PD0);
        _delay_us(5);
        DDRD &= (uint8_t)~_BV(PD0);
        _delay_us(5);
    }
    twi_start();
    state = TWI_FAILED;
}
