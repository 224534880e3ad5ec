/* Why the board started. After a watchdog reset the watchdog still runs, at its shortest time: it must be
 * stopped before main, or the board would reset for ever. */
#include <avr/io.h>
#include <avr/wdt.h>

#include "mega.h"

static uint8_t cause __attribute__((section(".noinit")));

void keep_cause(void) __attribute__((naked, used, section(".init3")));
void keep_cause(void) {
    cause = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

uint8_t reset_cause(void) {
    /* A power-on sets brown-out too, a watchdog reset comes alone: most telling first. */
    if (cause & _BV(WDRF)) {
        return BOARD_RESET_WATCHDOG;
    }
    if (cause & _BV(PORF)) {
        return BOARD_RESET_POWER;
    }
    if (cause & _BV(BORF)) {
        return BOARD_RESET_BROWN_OUT;
    }
    return (cause & _BV(EXTRF)) ? BOARD_RESET_PIN : BOARD_RESET_UNKNOWN; /* a boot loader may have cleared it */
}
