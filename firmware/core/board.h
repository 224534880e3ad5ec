/* The servo board's portable core: frames, commands, limits, ramps, time-to-live. See ../PROTOCOL.md.
 *
 * No hardware, no heap, no globals, no float. A board owns one `board_t`, gives it time and bytes and
 * takes pulses and bytes. Everything runs in the main loop; an interrupt may only queue raw bytes.
 */
#ifndef ANIMAFACE_BOARD_H
#define ANIMAFACE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#define BOARD_PROTOCOL_VERSION 1u
#define BOARD_FIRMWARE_MAJOR 0u
#define BOARD_FIRMWARE_MINOR 2u
#define BOARD_FIRMWARE_PATCH 0u

#ifndef BOARD_MAX_CHANNELS
#define BOARD_MAX_CHANNELS 64u
#endif
#ifndef BOARD_TX_SIZE /* a power of two, at least two of the longest frames */
#define BOARD_TX_SIZE 512u
#endif

#define BOARD_MAX_PAYLOAD 248u
#define BOARD_MAX_DECODED (BOARD_MAX_PAYLOAD + 4u) /* type, sequence, payload, CRC */
#define BOARD_MAX_ENCODED (BOARD_MAX_DECODED + 1u) /* below 254 decoded bytes COBS adds exactly one */

#define BOARD_STEP_US 4000u         /* ramps move in steps of this, whatever the tick's rhythm */
#define BOARD_LIFE_DEFAULT_MS 200u  /* a command lives this long when it does not say */
#define BOARD_LIFE_MAX_MS 1000u     /* no command may live longer */
#define BOARD_STAGGER_DEFAULT_MS 50u
#define BOARD_PARK_SETTLE_MS 300u   /* a parked servo keeps its pulse this long, then true low */
#define BOARD_TICK_GAP_MAX_MS 100ul  /* a main loop that stood still longer trips */
#define BOARD_PULSE_MIN_US 400u
#define BOARD_PULSE_MAX_US 2600u
#define BOARD_ALL_CHANNELS 0xFFu
#define BOARD_SUPPLY_LOW_MS 40ul     /* under its least voltage this long: trip */
#define BOARD_CURRENT_HIGH_MS 500ul  /* over its highest current this long: trip */
#define BOARD_OSCILLATOR_NOMINAL 10000u /* a PCA9685 at exactly 25 MHz */
#define BOARD_OSCILLATOR_MIN 8000u
#define BOARD_OSCILLATOR_MAX 12000u

enum board_command {
    BOARD_HELLO = 0x01, BOARD_CONFIG = 0x02, BOARD_GET_CONFIG = 0x03, BOARD_ARM = 0x04,
    BOARD_DISARM = 0x05, BOARD_ENABLE = 0x06, BOARD_SET = 0x07, BOARD_READ = 0x08,
    BOARD_STATS = 0x09, BOARD_RELEASE = 0x0A, BOARD_STOP = 0x0B, BOARD_SETUP = 0x0C,
    BOARD_GET_SETUP = 0x0D, BOARD_REPLY = 0x80
};
enum board_status {
    BOARD_OK = 0, BOARD_UNKNOWN_COMMAND, BOARD_BAD_LENGTH, BOARD_BAD_VALUE, BOARD_BAD_CHANNEL,
    BOARD_NOT_GREETED, BOARD_WRONG_VERSION, BOARD_WRONG_BOARD, BOARD_NOT_ARMED, BOARD_NOT_CONFIGURED,
    BOARD_IS_ARMED, BOARD_CHANNEL_ON, BOARD_ESTOP_OPEN
};
enum board_state { BOARD_DISARMED = 0, BOARD_ARMED = 1, BOARD_TRIPPED = 2 };
enum board_reason {
    BOARD_NO_REASON = 0, BOARD_LIFE_EXPIRED = 1, BOARD_HOST_STOP = 2, BOARD_ESTOP = 3,
    BOARD_SUPPLY = 4, BOARD_DUTY = 5, BOARD_LOOP_STOOD = 6
};
enum board_on_loss { BOARD_HOLD = 0, BOARD_PARK = 1, BOARD_RELAX = 2 };
enum board_reset { BOARD_RESET_UNKNOWN = 0, BOARD_RESET_POWER, BOARD_RESET_PIN, BOARD_RESET_BROWN_OUT,
                   BOARD_RESET_WATCHDOG, BOARD_RESET_SOFTWARE };
enum board_kind { BOARD_KIND_PC = 0, BOARD_KIND_MEGA2560 = 1, BOARD_KIND_RP2040 = 2, BOARD_KIND_ARDUINO = 3 };
enum board_channel_flag {
    BOARD_CH_CONFIGURED = 0x01, BOARD_CH_ON = 0x02, BOARD_CH_MOVING = 0x04, BOARD_CH_CLAMPED = 0x08,
    BOARD_CH_QUEUED = 0x10, BOARD_CH_LOST = 0x20, BOARD_CH_DUTY = 0x40, BOARD_CH_PARKED = 0x80
};

/* What belongs to the board and not to a face; a board that can keeps it over a loss of power. */
enum board_setup_key {
    BOARD_SETUP_ID = 0,
    BOARD_SETUP_OSCILLATOR = 1, /* three PCA9685: 1, 2, 3; 10000 = 25 MHz */
    BOARD_SETUP_CURRENT_ZERO_MV = 4,
    BOARD_SETUP_CURRENT_UV_PER_MA = 5, /* 0: no current sensor */
    BOARD_SETUP_VOLTAGE_PERMILLE = 6,  /* supply over what the input sees; 0: not measured */
    BOARD_SETUP_SUPPLY_MIN_MV = 7,     /* 0: not watched */
    BOARD_SETUP_CURRENT_MAX_MA = 8,    /* 0: not watched */
    BOARD_SETUP_KEYS = 9
};

/* As in the CONFIG frame. Pulses in us, speeds in us/s, acceleration in 100 us/s^2 (0: unlimited). */
typedef struct {
    uint8_t on_loss;
    uint8_t duty_max; /* highest mean of |speed| over the speed limit, 255ths over some 17 s; 255: none */
    uint16_t low_us, high_us, neutral_us, safe_us;
    uint16_t speed_us_s, accel_100us_s2, park_speed_us_s, frame_hz;
} board_channel_config_t;

typedef struct {
    board_channel_config_t config;
    uint8_t flags;           /* board_channel_flag */
    uint16_t remembered_us;  /* last pulse that went out, 0: never known */
    uint16_t target_us;
    int32_t position_q16;    /* us / 65536 */
    int32_t velocity_q16;    /* of the last step, us / 65536 per step */
    uint16_t brake_steps;    /* a guess at how many steps stopping takes, see motion.c */
    uint32_t mean_speed;     /* |velocity_q16|, averaged over some 17 s */
    uint16_t settle_ms;      /* left before a parked channel goes low */
} board_channel_t;

typedef struct {
    uint32_t frames_ok, bad_crc, bad_framing, refused, duplicates, tx_dropped, trips, late_ticks, clamped;
    uint32_t max_tick_gap_us;
} board_stats_t;

typedef struct {
    uint8_t kind, board_id, n_channels, reset_cause;
    uint32_t boot_id;
    uint8_t state, reason, reason_channel;
    bool greeted, estop_open;
    uint16_t supply_mv, current_ma;
    uint32_t supply_fine_us, current_fine_us; /* when each was last within its bound */
    uint16_t setup[BOARD_SETUP_KEYS];
    bool setup_changed; /* for the board: write it down and clear this */

    uint32_t now_us, last_step_us, life_from_us, uptime_ms, uptime_rest_us;
    bool started;
    uint16_t life_ms, life_default_ms;
    uint16_t stagger_ms, stagger_left_ms; /* enabling one at a time */
    uint16_t duty_clock_ms;

    board_channel_t channels[BOARD_MAX_CHANNELS];
    board_stats_t stats;

    uint8_t rx[BOARD_MAX_ENCODED];
    uint16_t rx_size;
    bool rx_skip; /* the frame under way is too long: wait for its end */
    uint8_t tx[BOARD_TX_SIZE];
    uint16_t tx_head, tx_size;
    uint8_t last_type, last_sequence, last_ack[5];
    uint16_t last_crc;
    bool last_known;
} board_t;

/* Start. `boot_id` differs from boot to boot; n_channels <= BOARD_MAX_CHANNELS. */
void board_init(board_t *b, uint8_t kind, uint8_t board_id, uint8_t n_channels, uint32_t boot_id,
                uint8_t reset_cause);
/* The last pose this board remembers over a loss of power (EEPROM); call before ENABLE. */
void board_restore_pulse(board_t *b, uint8_t channel, uint16_t pulse_us);
/* Main loop: bring the outputs to `now_us`, a counter of microseconds that may wrap. */
void board_tick(board_t *b, uint32_t now_us);
/* Main loop: a byte from the line. A complete frame is obeyed at once, its reply waits in the tx ring. */
void board_rx(board_t *b, uint8_t byte);
/* Main loop: up to `max` bytes for the line; returns how many. */
uint16_t board_tx(board_t *b, uint8_t *out, uint16_t max);
/* Pulse to put out now, us; 0: a true low. */
uint16_t board_pulse_us(const board_t *b, uint8_t channel);
/* Servo supply wanted (an enable output, where the board has one). */
bool board_supply_on(const board_t *b);
/* Inputs, where the board has them. An open emergency stop trips and relaxes everything. */
void board_input_estop(board_t *b, bool open);
void board_input_supply(board_t *b, uint16_t supply_mv, uint16_t current_ma);
/* A setup value from the board's memory, before the first tick; returns false where it is out of range. */
bool board_restore_setup(board_t *b, uint8_t key, uint16_t value);
/* These outputs do not obey (their chip does not answer): off, lost, and not to be enabled. Call it for as
 * long as that lasts. */
void board_output_lost(board_t *b, uint8_t first, uint8_t count);

#endif
