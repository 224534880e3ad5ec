/* A channel's way to its target: speed, acceleration, limits. */
#ifndef ANIMAFACE_MOTION_H
#define ANIMAFACE_MOTION_H

#include "board.h"

/* Put the pulse out, standing still at `pulse_us` (clamped to the limits). */
void motion_start(board_channel_t *c, uint16_t pulse_us);
/* True low; the pose is remembered. */
void motion_off(board_channel_t *c);
/* New target; returns true where it had to be clamped. */
bool motion_aim(board_channel_t *c, uint16_t target_us);
/* Do what `on_loss` says. */
void motion_lose(board_channel_t *c);
/* Come to rest here, as soon as the acceleration allows. */
void motion_stand(board_channel_t *c);
/* One BOARD_STEP_US. */
void motion_step(board_channel_t *c);
uint16_t motion_pulse_us(const board_channel_t *c);
/* Its speed limit now, 1/65536 us per step. */
uint32_t motion_limit_q16(const board_channel_t *c);

#endif
