/* The main loop of the Pico board. The hardware watchdog is fed here and nowhere else. */
#include "rp2040.h"

#define WATCHDOG_US 250000u

static board_t board;
static uint32_t put_us;

static uint16_t slower(uint8_t pair) {
    const board_channel_t *a = &board.channels[2u * pair], *b = a + 1;
    uint16_t hz = 0;
    if (a->flags & BOARD_CH_CONFIGURED) {
        hz = a->config.frame_hz;
    }
    if ((b->flags & BOARD_CH_CONFIGURED) && (hz == 0u || b->config.frame_hz < hz)) {
        hz = b->config.frame_hz;
    }
    return hz == 0u ? 50u : hz;
}

static void serve_line(void) {
    for (uint16_t n = uart_waiting(); n != 0u; n--) {
        board_rx(&board, uart_take());
    }
    uint8_t byte;
    while (uart_room() && board_tx(&board, &byte, 1) == 1u) {
        uart_give(byte);
    }
}

int main(void) {
    clocks_start();
    pwm_start();
    inputs_start();
    uart_start();
    board_init(&board, BOARD_KIND_RP2040, 1, CHANNELS, random_boot_id(), reset_cause());
    store_start(&board);
    watchdog_start(WATCHDOG_US);
    for (;;) {
        uint32_t now_us = clock_us();
        watchdog_feed(WATCHDOG_US);
        board_tick(&board, now_us);
        serve_line();
        inputs_run(&board, now_us);
        if (now_us - put_us >= BOARD_STEP_US) {
            put_us = now_us;
            for (uint8_t i = 0; i < CHANNELS; i++) {
                if (!(i & 1u)) {
                    pwm_rate(i / 2u, slower(i / 2u));
                }
                pwm_put(i, board_pulse_us(&board, i));
            }
        }
        store_run(&board);
    }
}
