/* Last poses and setup in the EEPROM: 28 records in turn, one byte at a time, only bytes that differ. */
#include <avr/eeprom.h>
#include <avr/io.h>

#include "../common/poses.h"
#include "mega.h"

#define BOOT_AT 0u      /* u32, counts the boots */
#define RECORDS_AT 16u
#define RECORD_SIZE POSES_SIZE(ALL_CHANNELS)
#define RECORDS ((E2END + 1u - RECORDS_AT) / RECORD_SIZE)

#define LOOK_MS 64u

static uint8_t record[RECORD_SIZE];
static uint16_t at = RECORD_SIZE; /* next byte to write; RECORD_SIZE: nothing to do */
static uint8_t place;
static uint32_t count, boot_id;
static poses_timer_t timer;
static uint32_t looked_ms;

static uint8_t *address_of(uint8_t i) { return (uint8_t *)(RECORDS_AT + (uint16_t)i * RECORD_SIZE); }

uint32_t store_boot_id(void) {
    boot_id = eeprom_read_dword((const uint32_t *)BOOT_AT) + 1u;
    if (boot_id == 0u) {
        boot_id = 1;
    }
    eeprom_update_dword((uint32_t *)BOOT_AT, boot_id); /* 14 ms at most, before anything else runs */
    return boot_id;
}

void store_start(board_t *b) {
    for (uint8_t i = 0; i < RECORDS; i++) {
        eeprom_read_block(record, address_of(i), RECORD_SIZE);
        uint32_t n = poses_count(record, ALL_CHANNELS);
        if (n > count) {
            count = n;
            place = i;
        }
    }
    if (count != 0u) {
        eeprom_read_block(record, address_of(place), RECORD_SIZE);
        poses_restore(b, record, ALL_CHANNELS);
    } else {
        poses_encode(b, 0, ALL_CHANNELS, record); /* a fresh memory: what there is to compare with */
    }
}

void store_run(board_t *b) {
    if (at < RECORD_SIZE) {
        if (EECR & _BV(EEPE)) {
            return; /* the last byte is under way, 3.4 ms */
        }
        while (at < RECORD_SIZE && eeprom_read_byte(address_of(place) + at) == record[at]) {
            at++;
        }
        if (at < RECORD_SIZE) {
            eeprom_write_byte(address_of(place) + at, record[at]);
            at++;
        }
        return;
    }
    if (b->uptime_ms - looked_ms < LOOK_MS) {
        return;
    }
    looked_ms = b->uptime_ms;
    if (poses_due(&timer, b, record, ALL_CHANNELS)) {
        place = (uint8_t)(place + 1u == RECORDS ? 0u : place + 1u);
        poses_encode(b, ++count, ALL_CHANNELS, record);
        b->setup_changed = false;
        at = 0; /* the checksum comes last: a record cut short does not count */
    }
}
