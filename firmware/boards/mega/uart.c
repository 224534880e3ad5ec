/* The line: 1,000,000 baud, exact at 16 MHz with U2X. A byte every 160 cycles. */
#include <avr/interrupt.h>
#include <avr/io.h>

#include "mega.h"

/* 256 bytes each, so that the 8-bit indices wrap by themselves. */
static uint8_t rx[256], tx[256];
static volatile uint8_t rx_head, rx_tail, tx_head, tx_tail, lost;

ISR(USART0_RX_vect) {
    uint8_t overrun = UCSR0A & (_BV(DOR0) | _BV(FE0)), byte = UDR0;
    uint8_t next = (uint8_t)(rx_head + 1u);
    if (overrun && lost != 255u) {
        lost++;
    }
    if (next != rx_tail) {
        rx[rx_head] = byte;
        rx_head = next;
    } else if (lost != 255u) {
        lost++;
    }
}

ISR(USART0_UDRE_vect) {
    if (tx_tail == tx_head) {
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
    } else {
        UDR0 = tx[tx_tail];
        tx_tail++;
    }
}

void uart_start(void) {
    UCSR0A = _BV(U2X0); /* before the divider: the emulator computes its pace from it */
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UBRR0H = 0;
    UBRR0L = 1;
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

uint8_t uart_waiting(void) { return (uint8_t)(rx_head - rx_tail); }

uint8_t uart_take(void) {
    uint8_t byte = rx[rx_tail];
    rx_tail++;
    return byte;
}

uint8_t uart_room(void) { return (uint8_t)(255u - (uint8_t)(tx_head - tx_tail)); }

void uart_give(uint8_t byte) {
    tx[tx_head] = byte;
    tx_head++;
    UCSR0B |= _BV(UDRIE0);
}

uint8_t uart_lost(void) {
    uint8_t n = lost;
    lost = 0; /* one may slip between the two: it is a count for people */
    return n;
}
