/* Anything on the line, anything at the inputs, any rhythm of the main loop: what must hold none the less.
 *
 * For libFuzzer (clang -fsanitize=fuzzer), or with -DFUZZ_STANDALONE as a program that makes its own inputs.
 * An input is a script: raw bytes for the line, well-formed frames with the input's payload, time, inputs. After
 * every step:
 *   - a pulse is 0 or inside its channel's limits, and 0 for a channel that is off, lost its chip or whose
 *     emergency stop is open;
 *   - it moved no faster than its speed limit, changed its speed by no more than its acceleration, and only a
 *     channel that came on may appear anywhere;
 *   - an armed board was spoken to within its life;
 *   - at the end a well-formed HELLO behind a zero is answered: the parser is never stuck.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/board.h"
#include "../core/frame.h"

#define CHANNELS 5u
#define LOST_FIRST 4u

static board_t board;
static uint32_t now_us, spoken_us;
static int32_t was_q16[CHANNELS], was_speed[CHANNELS];
static bool was_on[CHANNELS];
static bool estop, lost;

#define MUST(what)                                                \
    do {                                                          \
        if (!(what)) {                                            \
            fprintf(stderr, "broken: %s (line %d)\n", #what, __LINE__); \
            abort();                                              \
        }                                                         \
    } while (0)

static uint32_t fastest(const board_channel_config_t *c) {
    return c->speed_us_s > c->park_speed_us_s ? c->speed_us_s : c->park_speed_us_s;
}

static void check(uint32_t steps) {
    MUST(board.state <= BOARD_TRIPPED && board.tx_size <= BOARD_TX_SIZE && board.rx_size <= BOARD_MAX_ENCODED);
    for (uint8_t i = 0; i < CHANNELS; i++) {
        const board_channel_t *c = &board.channels[i];
        uint16_t pulse = board_pulse_us(&board, i);
        bool on = (c->flags & BOARD_CH_ON) != 0;
        if (!on) {
            MUST(pulse == 0);
        } else {
            MUST(c->flags & BOARD_CH_CONFIGURED);
            MUST(pulse >= c->config.low_us && pulse <= c->config.high_us);
            MUST(c->config.low_us >= BOARD_PULSE_MIN_US && c->config.high_us <= BOARD_PULSE_MAX_US);
            MUST(!estop && !(lost && i >= LOST_FIRST));
        }
        if (on && was_on[i]) {
            /* Exactly: 262.144 and 104.8576 are one us/s and 100 us/s^2 in 1/65536 us per step of 4 ms. */
            int64_t way = llabs((int64_t)c->position_q16 - was_q16[i]);
            int64_t change = llabs((int64_t)c->velocity_q16 - was_speed[i]);
            MUST(way * 1000 <= (int64_t)(steps * (fastest(&c->config) * 262144ull)));
            MUST(c->config.accel_100us_s2 == 0u || change * 10000 <= (int64_t)(steps * (c->config.accel_100us_s2 * 1048576ull)));
        }
        was_on[i] = on;
        was_q16[i] = c->position_q16;
        was_speed[i] = c->velocity_q16;
    }
}

static void pass_time(uint32_t us) {
    now_us += us;
    board_tick(&board, now_us);
    if (lost) {
        board_output_lost(&board, LOST_FIRST, CHANNELS - LOST_FIRST);
    }
    check(us / BOARD_STEP_US + 1u);
    if (board.state == BOARD_ARMED) {
        MUST(now_us - spoken_us <= (BOARD_LIFE_MAX_MS + 1u) * 1000u);
    }
}

static void drain(void) {
    uint8_t out[64];
    while (board_tx(&board, out, sizeof out) != 0) {
    }
}

static void say(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        uint32_t ok = board.stats.frames_ok;
        board_rx(&board, data[i]);
        if (board.stats.frames_ok != ok) {
            spoken_us = now_us; /* any well-formed frame may have been an ARM, ENABLE or SET */
        }
    }
    check(0);
}

static void say_frame(uint8_t type, uint8_t sequence, const uint8_t *payload, uint8_t size) {
    uint8_t raw[BOARD_MAX_DECODED], out[BOARD_MAX_ENCODED + 1u];
    raw[0] = type;
    raw[1] = sequence;
    memcpy(raw + 2, payload, size);
    (void)frame_put16(raw + 2 + size, frame_crc(raw, (uint16_t)(size + 2u)));
    uint16_t n = frame_cobs_encode(raw, (uint16_t)(size + 4u), out);
    out[n++] = 0;
    say(out, n);
}

/* A plausible CONFIG, or the first ones would never get through. */
static void say_config(uint8_t sequence, uint8_t seed, uint8_t speed) {
    uint8_t p[20] = {(uint8_t)(seed % CHANNELS), (uint8_t)(speed % 3u)};
    uint16_t low = (uint16_t)(400u + 4u * seed), high = (uint16_t)(low + 200u + 4u * speed);
    uint8_t *q = frame_put16(p + 2, low);
    q = frame_put16(q, high > 2600u ? 2600u : high);
    q = frame_put16(q, (uint16_t)(low + 100u));
    q = frame_put16(q, (uint16_t)(low + 50u));
    q = frame_put16(q, (uint16_t)(1u + 97u * speed));
    q = frame_put16(q, (seed & 1u) ? (uint16_t)(1u + 13u * speed) : 0u);
    q = frame_put16(q, (uint16_t)(1u + 5u * seed));
    q = frame_put16(q, 50u + speed % 200u);
    *q = (seed & 2u) ? 255u : speed;
    say_frame(BOARD_CONFIG, sequence, p, 20);
}

static const uint8_t greeting[4] = {0x41, 0x46, BOARD_PROTOCOL_VERSION, 0};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    now_us = size > 4 ? 0xFFFF0000u + data[0] * 256u : 0u; /* the clock may go round */
    spoken_us = now_us;
    estop = lost = false;
    memset(was_on, 0, sizeof was_on);
    board_init(&board, BOARD_KIND_PC, 1, CHANNELS, 1, BOARD_RESET_POWER);
    pass_time(0);
    if (size != 0 && (data[0] & 1u)) {
        say_frame(BOARD_HELLO, 0, greeting, 4);
        for (uint8_t i = 0; i < CHANNELS; i++) {
            say_config((uint8_t)(i + 1u), (uint8_t)(i * 7u + data[0]), (uint8_t)(i * 31u + data[0]));
        }
    }
    for (size_t i = 1; i < size;) {
        uint8_t what = data[i] & 0x0Fu, arg = i + 1 < size ? data[i + 1] : 0;
        size_t left = size - i > 2 ? size - i - 2 : 0, n = arg < left ? arg : left;
        i += 2;
        if (what < 3u) {
            say(data + i, n);
            i += n;
        } else if (what < 9u) {
            uint8_t type = what < 8u ? (uint8_t)(1u + (data[i - 2] >> 4)) : data[i - 2];
            n = n > BOARD_MAX_PAYLOAD ? BOARD_MAX_PAYLOAD : n;
            say_frame(type, (uint8_t)(i & 0xFFu), data + i, (uint8_t)n);
            i += n;
        } else if (what == 9u) {
            say_config((uint8_t)i, arg, data[i - 2]);
        } else if (what < 14u) {
            pass_time(what == 13u ? arg * 1000u : arg * 40u);
        } else if (what == 14u) {
            estop = (arg & 1u) != 0;
            lost = (arg & 2u) != 0;
            board_input_estop(&board, estop);
            pass_time(0);
        } else {
            board_input_supply(&board, (uint16_t)(arg * 100u), (uint16_t)(data[i - 2] * 256u));
            drain();
        }
    }
    drain();
    uint8_t zero = 0, reply[64];
    say(&zero, 1);
    drain();
    say_frame(BOARD_HELLO, 0xA5, greeting, 4);
    uint16_t n = board_tx(&board, reply, sizeof reply);
    MUST(n > 4 && reply[n - 1] == 0);
    n = frame_cobs_decode(reply, (uint16_t)(n - 1u));
    MUST(n == 21 && reply[0] == (BOARD_HELLO | BOARD_REPLY) && reply[1] == 0xA5 && reply[2] == BOARD_OK);
    return 0;
}

#ifdef FUZZ_STANDALONE
int main(int argc, char **argv) {
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000, x = 88172645463325252ull;
    static uint8_t data[1024];
    for (uint64_t k = 0; k < runs; k++) {
        size_t size = 0;
        do {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            data[size++] = (uint8_t)x;
        } while (size < sizeof data && (x >> 8) % 97 != 0);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("Done %llu runs\n", (unsigned long long)runs);
    return 0;
}
#endif
