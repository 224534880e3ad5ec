/* Last poses and setup as they lie in a memory that wears: records in turn, the newest valid one counts. */
#ifndef ANIMAFACE_POSES_H
#define ANIMAFACE_POSES_H

#include <stdbool.h>
#include <stdint.h>

#include "../../core/board.h"

/* count u32 | setup u16 x keys | poses u16 x channels | crc u16 */
#define POSES_SIZE(channels) (4u + 2u * BOARD_SETUP_KEYS + 2u * (channels) + 2u)

/* Writes a record of the board as it is now into `out`. A pose nobody knows is 0. */
void poses_encode(const board_t *b, uint32_t count, uint8_t channels, uint8_t *out);
/* The record's count, 0 where it is not valid. */
uint32_t poses_count(const uint8_t *record, uint8_t channels);
/* Gives a valid record back to the board. */
void poses_restore(board_t *b, const uint8_t *record, uint8_t channels);
/* Where a channel is, or was last: us, 0 unknown. */
uint16_t poses_of(const board_t *b, uint8_t channel);
/* Largest difference between the board and a record, us. */
uint16_t poses_change_us(const board_t *b, const uint8_t *record, uint8_t channels);

/* When a record is due. A write costs one of the memory's 100,000 lives, a pose that was not written costs a
 * jump at the next start. */
#define POSES_CHANGE_US 8u
#define POSES_OFF_S 1u     /* nothing moves any more and all is off: soon */
#define POSES_STILL_S 20u  /* on, but nothing moved for a second */
#define POSES_MOVING_S 60u /* on the move */
typedef struct {
    uint32_t saved_ms, moved_ms;
} poses_timer_t;
bool poses_due(poses_timer_t *t, const board_t *b, const uint8_t *saved, uint8_t channels);

#endif
