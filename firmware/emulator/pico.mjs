// The Pico's image on rp2040js: second stage, a boot ROM of its own, bytes on the line, pulses at the pins.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'x.js'));
const { Simulator } = require('rp2040js');
export const FLASH = 0x10000000, RAM = 0x20000000, FLASH_SIZE = 2 << 20, SECTOR = 4096, PAGE = 256;
export const ESTOP = 20, SUPPLY = 21, FIRST = 2;
const STAGE = 0x41f00, LOOK_UP = 0x40, ERASE_NS = 400e6, PROGRAM_NS = 1e6;
// Where our boot ROM keeps the functions that the firmware looks up; each is one `bx lr`, done by `Pico.rom`.
const ROM = { IF: 0x50, EX: 0x54, FC: 0x58, CX: 0x5c, RE: 0x60, RP: 0x64 };

export function crc16(data) {
  let crc = 0xffff;
  for (const byte of data) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) {
      crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
  }
  return crc;
}
function encode(data) {
  const out = [0];
  let at = 0, code = 1;
  for (const byte of data) {
    if (byte) {
      out.push(byte);
      code++;
    } else {
      out[at] = code;
      at = out.length;
      out.push(0);
      code = 1;
    }
  }
  out[at] = code;
  return [...out, 0];
}
function decode(data) {
  const out = [];
  for (let i = 0; i < data.length - 1; ) {
    const code = data[i++];
    for (let k = 1; k < code; k++) out.push(data[i++]);
    if (i < data.length - 1) out.push(0);
  }
  return out.slice(2, -2);
}
export const u16 = (...values) => values.flatMap((v) => [v & 255, v >> 8]);

/** What `make` built, as the flash of a fresh board. */
export function flashed(uf2Path) {
  const flash = new Uint8Array(FLASH_SIZE).fill(0xff), uf2 = fs.readFileSync(uf2Path);
  for (let at = 0; at < uf2.length; at += 512) {
    flash.set(uf2.subarray(at + 32, at + 288), uf2.readUInt32LE(at + 12) - FLASH);
  }
  return flash;
}

/** Ends a run: rp2040js would fire the alarm of a watchdog at zero again and again. */
class Bitten extends Error {}

/** A board from power-on, or from a reset by its watchdog, to its end. `flash` is kept and changed. */
export class Pico {
  constructor(flash, { byWatchdog = false } = {}) {
    this.simulator = new Simulator();
    this.mcu = this.simulator.rp2040;
    this.mcu.logger = { debug() {}, info() {}, warn() {}, error() {} };
    this.flash = flash;
    this.flashLog = []; // [what, offset, size] as the boot ROM was asked
    this.triggered = null; // when the watchdog bit, us
    this.connected = this.xip = false;
    this.heard = [];
    this.sequence = 0;
    this.widths = {};
    this.start(byWatchdog);
    this.watch();
  }

  start(byWatchdog) {
    const { mcu } = this, rom = new Uint32Array(64);
    rom[0x14 / 4] = LOOK_UP << 16; // tables at 0, look-up function
    rom[0x18 / 4] = LOOK_UP + 1;
    for (const at of [LOOK_UP, ...Object.values(ROM)]) rom[at / 4] = 0x47704770;
    mcu.loadBootrom(rom);
    mcu.flash.set(this.flash);
    mcu.sram.set(mcu.flash.subarray(0, 256), STAGE); // as the real boot ROM does
    mcu.core.PC = RAM + STAGE;
    mcu.core.SP = RAM + STAGE;
    const watchdog = Object.values(mcu.peripherals).find((p) => p.constructor.name === 'RPWatchdog');
    watchdog.reason = byWatchdog ? 1 : 0;
    watchdog.onWatchdogTrigger = () => {
      this.triggered = this.nowUs();
      throw new Bitten();
    };
    mcu.uart[0].onByte = (byte) => this.heard.push(byte);
    mcu.gpio[ESTOP].setInputValue(false);
  }

  watch() {
    const rises = {};
    for (let pin = FIRST; pin < FIRST + 16; pin++) {
      this.widths[pin] = [];
      this.mcu.gpio[pin].addListener((state) => {
        if (state === 1) {
          rises[pin] = this.nowUs();
        } else if (rises[pin] !== undefined) {
          this.widths[pin].push(this.nowUs() - rises[pin]);
          delete rises[pin];
        }
      });
    }
  }

  nowUs() {
    return this.simulator.clock.nanos / 1000;
  }

  /** A call of the boot ROM: its flash functions only work with XIP off, interrupts masked and code in RAM. */
  rom(pc) {
    const { core } = this.mcu, r = core.registers, ram = (at) => at >>> 0 >= RAM && at >>> 0 < RAM + (264 << 10);
    if (pc === LOOK_UP) {
      const name = String.fromCharCode(r[1] & 255, (r[1] >> 8) & 255);
      if (!(name in ROM)) throw new Error(`boot ROM: no function ${name}`);
      r[0] = ROM[name] + 1;
      return;
    }
    if (!core.PM || !ram(r[14])) throw new Error('flash function called from the flash, or with interrupts on');
    if (pc === ROM.IF) this.connected = true;
    if (pc === ROM.EX) this.xip = false;
    if (pc === ROM.CX) this.xip = true;
    if (pc !== ROM.RE && pc !== ROM.RP) return;
    if (!this.connected || this.xip) throw new Error('the flash is not connected, or still mapped');
    const erase = pc === ROM.RE, offset = r[0] >>> 0, size = erase ? r[1] >>> 0 : r[2] >>> 0;
    if (offset % (erase ? SECTOR : PAGE) || size % (erase ? SECTOR : PAGE)) throw new Error(`unaligned: ${offset}, ${size}`);
    for (let i = 0; i < size; i++) {
      const byte = erase ? 0xff : this.mcu.flash[offset + i] & this.mcu.sram[(r[1] >>> 0) - RAM + i]; // bits only fall
      this.mcu.flash[offset + i] = this.flash[offset + i] = byte;
    }
    this.flashLog.push([erase ? 'erase' : 'program', offset, size]);
    this.simulator.clock.tick(erase ? ERASE_NS : PROGRAM_NS);
  }

  /** Goes on for so long, or until the watchdog resets the chip. */
  run(us) {
    const { clock } = this.simulator, { core } = this.mcu, end = this.nowUs() + us;
    try {
      while (this.nowUs() < end && this.triggered === null) {
        if (core.PC < 0x4000) this.rom(core.PC);
        clock.tick(core.waiting ? clock.nanosToNextAlarm : core.executeInstruction() * 8);
      }
    } catch (e) {
      if (!(e instanceof Bitten)) throw e;
    }
  }

  /** The main loop stands still; interrupts go on. */
  hang() {
    this.mcu.sram.set([0xfe, 0xe7], STAGE); // b .
    this.mcu.core.PC = RAM + STAGE;
  }

  ask(type, payload) {
    const body = [type, ++this.sequence % 256, ...payload], crc = crc16(body);
    this.heard = [];
    for (const byte of encode([...body, crc & 255, crc >> 8])) {
      this.mcu.uart[0].feedByte(byte);
      this.run(10);
    }
    this.run(2000);
    return decode(this.heard);
  }
}
