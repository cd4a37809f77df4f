/*
 * PS/2 keyboard and mouse as far as drivers need them to be there: both answer every command (IBM PS/2
 * Hardware Interface Technical Reference, "Keyboard" and "Mouse"), nobody types or moves.
 */

const ACK = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
const ECHO = 0xee;

const KEYBOARD_SET_LEDS = 0xed;
const KEYBOARD_ECHO = 0xee;
const KEYBOARD_SCANCODE_SET = 0xf0;
const KEYBOARD_SET_RATE = 0xf3;
/** Set all keys to typematic, make/break or make only: no argument. */
const KEYBOARD_ALL_KEYS_FIRST = 0xf7;
const KEYBOARD_ALL_KEYS_LAST = 0xfa;

const MOUSE_SCALING_1 = 0xe6;
const MOUSE_SCALING_2 = 0xe7;
const MOUSE_SET_RESOLUTION = 0xe8;
const MOUSE_STATUS = 0xe9;
const MOUSE_STREAM = 0xea;
const MOUSE_READ_DATA = 0xeb;
const MOUSE_RESET_WRAP = 0xec;
const MOUSE_WRAP = 0xee;
const MOUSE_REMOTE = 0xf0;
const MOUSE_SET_RATE = 0xf3;

const IDENTIFY = 0xf2;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const DEFAULTS = 0xf6;
const RESET = 0xff;

/** Status byte 1 of the mouse. */
const STATUS_SCALING_2 = 0x10;
const STATUS_ENABLED = 0x20;
const STATUS_REMOTE = 0x40;

const KEYBOARD_ID = [0xab, 0x83] as const;
const MOUSE_ID = 0x00;
const DEFAULT_SCANCODE_SET = 2;
const DEFAULT_RESOLUTION = 2;
const DEFAULT_RATE = 100;
const DEFAULT_TYPEMATIC = 0x2b;

/** A device on a PS/2 port: takes a byte from the host and returns what it sends back. */
export interface Ps2Device {
  receive(byte: number): readonly number[];
}

/** Power-on state of the keyboard; `awaiting` is the command whose argument comes next, 0 for none. */
export const keyboardPowerOn = () => ({
  awaiting: 0,
  leds: 0,
  typematic: DEFAULT_TYPEMATIC,
  scancodeSet: DEFAULT_SCANCODE_SET,
  enabled: true,
});

/** An MF2 keyboard. */
export class Ps2Keyboard implements Ps2Device {
  state = keyboardPowerOn();

  receive(byte: number): readonly number[] {
    const s = this.state;
    // Arguments are below 0x80; a command in an argument's place takes its course.
    if (s.awaiting !== 0 && byte < 0x80) return this.argument(byte);
    s.awaiting = 0;
    switch (byte) {
      case KEYBOARD_SET_LEDS:
      case KEYBOARD_SCANCODE_SET:
      case KEYBOARD_SET_RATE:
        s.awaiting = byte;
        return [ACK];
      case KEYBOARD_ECHO:
        return [ECHO];
      case IDENTIFY:
        return [ACK, ...KEYBOARD_ID];
      case ENABLE:
        s.enabled = true;
        return [ACK];
      case DISABLE:
      case DEFAULTS:
        this.state = { ...keyboardPowerOn(), leds: s.leds, enabled: byte === DEFAULTS };
        return [ACK];
      case RESET:
        this.state = keyboardPowerOn();
        return [ACK, SELF_TEST_PASSED];
      default:
        return byte >= KEYBOARD_ALL_KEYS_FIRST && byte <= KEYBOARD_ALL_KEYS_LAST ? [ACK] : [RESEND];
    }
  }

  private argument(byte: number): readonly number[] {
    const s = this.state;
    const command = s.awaiting;
    s.awaiting = 0;
    if (command === KEYBOARD_SET_LEDS) {
      s.leds = byte & 7;
    } else if (command === KEYBOARD_SET_RATE) {
      s.typematic = byte;
    } else if (byte === 0) {
      return [ACK, s.scancodeSet];
    } else if (byte <= 3) {
      s.scancodeSet = byte;
    } else {
      return [RESEND];
    }
    return [ACK];
  }
}

/** Power-on state of the mouse. */
export const mousePowerOn = () => ({
  awaiting: 0,
  wrap: false,
  enabled: false,
  remote: false,
  scaling2: false,
  resolution: DEFAULT_RESOLUTION,
  rate: DEFAULT_RATE,
});

/** A standard three-button mouse without a wheel. */
export class Ps2Mouse implements Ps2Device {
  state = mousePowerOn();

  receive(byte: number): readonly number[] {
    const s = this.state;
    if (s.awaiting !== 0) return this.argument(byte);
    if (s.wrap && byte !== RESET && byte !== MOUSE_RESET_WRAP) return [byte];
    switch (byte) {
      case MOUSE_SCALING_1:
      case MOUSE_SCALING_2:
        s.scaling2 = byte === MOUSE_SCALING_2;
        return [ACK];
      case MOUSE_SET_RESOLUTION:
      case MOUSE_SET_RATE:
        s.awaiting = byte;
        return [ACK];
      case MOUSE_STATUS:
        return [ACK, this.status(), s.resolution, s.rate];
      case MOUSE_STREAM:
      case MOUSE_REMOTE:
        s.remote = byte === MOUSE_REMOTE;
        return [ACK];
      case MOUSE_READ_DATA:
        return [ACK, 0x08, 0, 0]; // no button, no movement; bit 3 is always set
      case MOUSE_WRAP:
      case MOUSE_RESET_WRAP:
        s.wrap = byte === MOUSE_WRAP;
        return [ACK];
      case IDENTIFY:
        return [ACK, MOUSE_ID];
      case ENABLE:
      case DISABLE:
        s.enabled = byte === ENABLE;
        return [ACK];
      case DEFAULTS:
        this.state = mousePowerOn();
        return [ACK];
      case RESET:
        this.state = mousePowerOn();
        return [ACK, SELF_TEST_PASSED, MOUSE_ID];
      default:
        return [RESEND];
    }
  }

  private argument(byte: number): readonly number[] {
    const s = this.state;
    if (s.awaiting === MOUSE_SET_RATE) s.rate = byte;
    else s.resolution = byte & 3;
    s.awaiting = 0;
    return [ACK];
  }

  private status(): number {
    const s = this.state;
    return (
      (s.scaling2 ? STATUS_SCALING_2 : 0) |
      (s.enabled ? STATUS_ENABLED : 0) |
      (s.remote ? STATUS_REMOTE : 0)
    );
  }
}
