/* The main loop of the Mega board. The hardware watchdog is fed here and nowhere else. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "mega.h"

static board_t board;

static void serve_line(void) {
    /* As many as were there at first: a host that never stops must not stop the loop. */
    for (uint8_t n = uart_waiting(); n != 0u; n--) {
        board_rx(&board, uart_take());
    }
    uint8_t lost = uart_lost();
    board.stats.bad_framing += lost;
    uint8_t byte;
    while (uart_room() != 0u && board_tx(&board, &byte, 1) == 1u) {
        uart_give(byte);
    }
}

/* Idle until the next interrupt, 1 ms at most (timer 0). A byte that came in since we looked keeps us awake. */
static void rest(void) {
    cli();
    if (uart_waiting() == 0u) {
        sleep_enable();
        sei();
        sleep_cpu(); /* the instruction after sei runs before any interrupt */
        sleep_disable();
    }
    sei();
}

static void start(void) {
    EICRA = EICRB = 0xFF; /* no level interrupts: none is used, and the emulator would poll for them */
    SMCR = 0; /* sleep is idle: every interrupt wakes */
    uint32_t boot_id = store_boot_id();
    pwm_start();
    inputs_start();
    twi_start();
    clock_start();
    uart_start();
    sei();
    chips_start(clock_us());
    board_init(&board, BOARD_KIND_MEGA2560, 1, (uint8_t)(PWM_CHANNELS + chips_channels()), boot_id, reset_cause());
    store_start(&board);
}

int main(void) {
    start();
    wdt_enable(WDTO_250MS);
    for (;;) {
        uint32_t now_us = clock_us();
        wdt_reset();
        board_tick(&board, now_us);
        serve_line();
        inputs_run(&board, now_us);
        outputs_run(&board, now_us);
        chips_run(clock_us());
        store_run(&board);
        rest();
    }
}
