/* A PCA9685 as its data sheet describes it, on the emulator's clock. Written apart from the firmware's own. */
#ifndef ANIMAFACE_PCA9685_MODEL_H
#define ANIMAFACE_PCA9685_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_OUTPUTS 16

typedef void (*model_pulse_t)(void *owner, int chip, int output, uint64_t rise, double width_cycles);

typedef struct {
    uint8_t registers[256];
    uint8_t outputs[4 * MODEL_OUTPUTS]; /* LEDn registers as of the last STOP: MODE2's OCH is 0 */
    uint8_t pointer;
    bool pointer_known; /* the next byte written is the register's number */
    bool absent;        /* unplugged: answers nothing, drives nothing */
    bool cut;           /* output enable is high */
    double oscillator_hz;
    double frame_from;                    /* cycle at which the frame under way began; negative: stopped */
    double on[MODEL_OUTPUTS], width[MODEL_OUTPUTS]; /* of this frame, cycles; width 0: low */
    bool told[MODEL_OUTPUTS];
    model_pulse_t pulse;
    void *owner;
    int chip;
    uint64_t frames;
} pca_model_t;

void model_power_on(pca_model_t *m);
void model_start(pca_model_t *m); /* START addressed to this chip for writing */
void model_write(pca_model_t *m, uint8_t byte, uint64_t now);
void model_stop(pca_model_t *m); /* STOP: what was written to the outputs holds from the next frame on */
uint8_t model_read(pca_model_t *m);
/* Run to `now`; returns the cycle of the next frame's start, 0: stopped. */
uint64_t model_run(pca_model_t *m, uint64_t now);
void model_cut(pca_model_t *m, bool cut, uint64_t now);

#endif
