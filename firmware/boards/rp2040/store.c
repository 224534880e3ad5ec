/* Last poses and setup in the last two sectors of the flash: pages in turn, a sector erased only while every output
 * is off, because erasing takes up to .4 s. Writing a page takes about a millisecond; pulses go on meanwhile. */
#include <string.h>

#include "../common/poses.h"
#include "rp2040.h"

#define SECTOR 4096u
#define PAGE 256u
#define AREA (2048u * 1024u - 2u * SECTOR) /* offset in the flash */
#define PAGES (2u * SECTOR / PAGE)
#define XIP 0x10000000u
#define ERASE_US 1000000u

static uint8_t page[PAGE];
static uint16_t place;
static uint32_t count, looked_ms;
static poses_timer_t timer;

typedef void (*rom_void_t)(void);
typedef void (*rom_erase_t)(uint32_t offset, uint32_t size, uint32_t block, uint8_t command);
typedef void (*rom_program_t)(uint32_t offset, const uint8_t *data, uint32_t size);
typedef void *(*rom_lookup_t)(uint16_t *table, uint32_t code);
static struct {
    rom_void_t connect, exit_xip, flush, enter_xip;
    rom_erase_t erase;
    rom_program_t program;
} rom;

static void *rom_function(char a, char b) {
    /* The boot ROM keeps 16-bit pointers to its table and its look-up at 0x14 and 0x18. */
    const volatile uint16_t *where = (const volatile uint16_t *)0x14u;
    __asm__("" : "+r"(where)); /* a low address is no mistake here */
    rom_lookup_t lookup = (rom_lookup_t)(uintptr_t)where[2];
    return lookup((uint16_t *)(uintptr_t)where[0], (uint32_t)a | ((uint32_t)b << 8));
}

/* From RAM: the flash can't be read meanwhile, nor may an interrupt want it. */
static __attribute__((noinline, section(".ramfunc"))) void change_flash(uint32_t offset, bool erase) {
    __asm__ volatile("cpsid i" ::: "memory");
    rom.connect();
    rom.exit_xip();
    if (erase) {
        rom.erase(offset, SECTOR, 65536u, 0xD8u);
    } else {
        rom.program(offset, page, PAGE);
    }
    rom.flush();
    rom.enter_xip();
    __asm__ volatile("cpsie i" ::: "memory");
}

static const uint8_t *page_at(uint16_t i) { return (const uint8_t *)(XIP + AREA + PAGE * (uint32_t)i); }

static bool blank(uint16_t i) {
    for (uint16_t k = 0; k < PAGE; k++) {
        if (page_at(i)[k] != 0xFFu) {
            return false;
        }
    }
    return true;
}

void store_start(board_t *b) {
    rom.connect = (rom_void_t)rom_function('I', 'F');
    rom.exit_xip = (rom_void_t)rom_function('E', 'X');
    rom.flush = (rom_void_t)rom_function('F', 'C');
    rom.enter_xip = (rom_void_t)rom_function('C', 'X');
    rom.erase = (rom_erase_t)rom_function('R', 'E');
    rom.program = (rom_program_t)rom_function('R', 'P');
    for (uint16_t i = 0; i < PAGES; i++) {
        uint32_t n = poses_count(page_at(i), CHANNELS);
        if (n > count && n != 0xFFFFFFFFu) {
            count = n;
            place = i;
        }
    }
    if (count != 0u) {
        memcpy(page, page_at(place), PAGE);
        poses_restore(b, page, CHANNELS);
    } else {
        place = (uint16_t)(PAGES - 1u);
        poses_encode(b, 0, CHANNELS, page);
    }
}

static bool all_off(const board_t *b) {
    for (uint8_t i = 0; i < CHANNELS; i++) {
        if (b->channels[i].flags & BOARD_CH_ON) {
            return false;
        }
    }
    return b->state != BOARD_ARMED;
}

void store_run(board_t *b) {
    if (b->uptime_ms - looked_ms < 64u) {
        return;
    }
    looked_ms = b->uptime_ms;
    uint16_t next = (uint16_t)(place + 1u == PAGES ? 0u : place + 1u);
    if (!blank(next)) {
        if (all_off(b)) {
            /* Always the sector without the newest record: `next` is its first page, or a page half written. */
            next = next / (SECTOR / PAGE) == place / (SECTOR / PAGE) ? (uint16_t)((place / (SECTOR / PAGE) ^ 1u) * (SECTOR / PAGE))
                                                                     : (uint16_t)(next / (SECTOR / PAGE) * (SECTOR / PAGE));
            watchdog_feed(ERASE_US);
            change_flash(AREA + PAGE * (uint32_t)next, true);
            place = (uint16_t)(next == 0u ? PAGES - 1u : next - 1u);
        }
        return;
    }
    if (poses_due(&timer, b, page, CHANNELS)) {
        place = next;
        memset(page, 0xFF, PAGE);
        poses_encode(b, ++count, CHANNELS, page);
        b->setup_changed = false;
        change_flash(AREA + PAGE * (uint32_t)place, false);
    }
}
