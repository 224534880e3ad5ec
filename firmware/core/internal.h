/* Between the files of the core; not for boards. */
#ifndef ANIMAFACE_INTERNAL_H
#define ANIMAFACE_INTERNAL_H

#include "board.h"

void board_trip(board_t *b, uint8_t reason);
void board_lose_all(board_t *b);
void board_off_all(board_t *b);
void board_refresh_life(board_t *b, uint16_t life_ms);
uint16_t board_life_left_ms(const board_t *b);

/* A command's fields on the way to its handler, and what the acknowledgement says. */
typedef struct {
    const uint8_t *data;
    uint16_t size;
    uint8_t status, channel, count;
} board_request_t;

#define BOARD_CONFIG_SIZE 20u

/* Commands that are answered by the acknowledgement. Never called before HELLO. */
void board_obey(board_t *b, uint8_t type, board_request_t *r);
/* Commands with a reply of their own: writes it and returns its size, 0: acknowledge `r->status`. */
uint16_t board_answer(board_t *b, uint8_t type, board_request_t *r, uint8_t *out);

#endif
