import type { Device, DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import { ByteDevice } from './byte-device.js';
import { keyboardPowerOn, mousePowerOn, Ps2Keyboard, Ps2Mouse } from './ps2.js';
import { restore, snapshot } from './state.js';

/*
 * The 8042 keyboard controller with an auxiliary port, as the IBM PS/2 Hardware Interface Technical
 * Reference describes it ("Keyboard and Auxiliary Device Controller").
 */

const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08;
/** The keyboard lock is open. */
const STATUS_UNLOCKED = 0x10;
const STATUS_AUX = 0x20;

const CONFIG_KEYBOARD_INTERRUPT = 0x01;
const CONFIG_AUX_INTERRUPT = 0x02;
const CONFIG_SYSTEM = 0x04;
const CONFIG_KEYBOARD_DISABLED = 0x10;
const CONFIG_AUX_DISABLED = 0x20;
const CONFIG_TRANSLATE = 0x40;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_KEYBOARD_FULL = 0x10;
const OUTPUT_AUX_FULL = 0x20;
/** Keyboard clock and data are high when idle. */
const OUTPUT_IDLE_LINES = 0xc0;

const READ_RAM = 0x20;
const WRITE_RAM = 0x60;
const RAM_SIZE = 32;
const PASSWORD_TEST = 0xa4;
const DISABLE_AUX = 0xa7;
const ENABLE_AUX = 0xa8;
const TEST_AUX = 0xa9;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD = 0xab;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_BUFFER = 0xd2;
const WRITE_AUX_BUFFER = 0xd3;
const WRITE_AUX = 0xd4;
const DISABLE_A20 = 0xdd;
const ENABLE_A20 = 0xdf;
const READ_TEST_INPUTS = 0xe0;
const PULSE_OUTPUT = 0xf0;

const INPUT_UNLOCKED = 0x80;
const NO_PASSWORD = 0xf1;
const SELF_TEST_PASSED = 0x55;
const PORT_TEST_PASSED = 0x00;

/** Responses a port keeps for a host that does not read; more are dropped, as by a full device. */
const QUEUE_LIMIT = 16;

/** What translation to scan code set 1 makes of the bytes that the keyboard can send and it changes. */
const TRANSLATED: ReadonlyMap<number, number> = new Map([
  [0x83, 0x41],
  [0x01, 0x43],
  [0x02, 0x41],
  [0x03, 0x3f],
]);

const VERSION = 1;

function powerOn() {
  const ram = new Uint8Array(RAM_SIZE);
  // As firmware leaves it: keyboard on, translated and interrupting; auxiliary port off.
  ram[0] = CONFIG_KEYBOARD_INTERRUPT | CONFIG_SYSTEM | CONFIG_AUX_DISABLED | CONFIG_TRANSLATE;
  return {
    /** Byte 0 is the configuration ("controller command byte"). */
    ram,
    /** The gate of A20, open as firmware leaves it. */
    a20: true,
    outputFull: false,
    output: 0,
    outputFromAux: false,
    lastWasCommand: false,
    /** The command whose data byte comes next, 0 for none. */
    awaiting: 0,
    controllerQueue: [] as number[],
    /** Bytes that a command put in as if they came from the auxiliary device. */
    auxLoopQueue: [] as number[],
    keyboardQueue: [] as number[],
    auxQueue: [] as number[],
  };
}

/** What an {@link I8042} is connected to. */
export interface I8042Options {
  /** IRQ 1. */
  readonly keyboardIrq: IrqLine;
  /** IRQ 12. */
  readonly mouseIrq: IrqLine;
  /** The gate of address line 20. */
  readonly a20: IrqLine;
  /** The guest pulled the processor's reset line. */
  onReset(): void;
}

/** The 8042 with a keyboard and a mouse. Its two ports are devices of their own. */
export class I8042 {
  /** One port: 0x60 on a PC. The state of the whole controller is this device's. */
  readonly data: Device;
  /** One port: 0x64 on a PC. */
  readonly command: Device;
  private s = powerOn();
  private readonly keyboard = new Ps2Keyboard();
  private readonly mouse = new Ps2Mouse();

  constructor(private readonly options: I8042Options) {
    this.data = new ControllerPort('i8042', {
      read: () => this.readData(),
      write: (value) => this.writeData(value),
      reset: () => this.reset(),
      save: () => this.save(),
      load: (state) => this.load(state),
    });
    this.command = new ControllerPort('i8042-command', {
      read: () => this.readStatus(),
      write: (value) => this.writeCommand(value),
      reset: () => undefined,
      save: () => snapshot(VERSION, {}),
      load: (state) => restore('i8042-command', VERSION, {}, state),
    });
    this.openA20(true);
  }

  private reset(): void {
    this.s = powerOn();
    this.keyboard.state = keyboardPowerOn();
    this.mouse.state = mousePowerOn();
    this.driveIrqs();
    this.openA20(this.s.a20);
  }

  private save(): DeviceState {
    const { keyboard, mouse } = this;
    return snapshot(VERSION, { ...this.s, keyboard: keyboard.state, mouse: mouse.state });
  }

  private load(state: DeviceState): void {
    const shape = { ...powerOn(), keyboard: keyboardPowerOn(), mouse: mousePowerOn() };
    const { keyboard, mouse, ...own } = restore('i8042', VERSION, shape, state);
    this.s = own;
    this.keyboard.state = keyboard;
    this.mouse.state = mouse;
    this.driveIrqs();
    this.openA20(this.s.a20);
  }

  private openA20(open: boolean): void {
    this.s.a20 = open;
    this.options.a20.set(open);
  }

  private configuration(): number {
    return this.s.ram[0] ?? 0;
  }

  private changeConfiguration(clear: number, set: number): void {
    this.s.ram[0] = (this.configuration() & ~clear) | set;
  }

  // --- reads ---

  private readStatus(): number {
    const s = this.s;
    return (
      STATUS_UNLOCKED |
      (s.outputFull ? STATUS_OUTPUT_FULL : 0) |
      (s.outputFull && s.outputFromAux ? STATUS_AUX : 0) |
      ((this.configuration() & CONFIG_SYSTEM) !== 0 ? STATUS_SYSTEM : 0) |
      (s.lastWasCommand ? STATUS_COMMAND : 0)
    );
  }

  private readData(): number {
    const s = this.s;
    const value = s.output;
    s.outputFull = false;
    this.driveIrqs(); // low, so that the next byte makes an edge
    this.fillOutput();
    return value;
  }

  private outputPort(): number {
    const s = this.s;
    const full = s.outputFromAux ? OUTPUT_AUX_FULL : OUTPUT_KEYBOARD_FULL;
    return (
      OUTPUT_NOT_RESET | OUTPUT_IDLE_LINES | (s.a20 ? OUTPUT_A20 : 0) | (s.outputFull ? full : 0)
    );
  }

  // --- writes ---

  private writeData(value: number): void {
    const s = this.s;
    const command = s.awaiting;
    s.lastWasCommand = false;
    s.awaiting = 0;
    if (command >= WRITE_RAM && command < WRITE_RAM + RAM_SIZE) {
      s.ram[command - WRITE_RAM] = value;
    } else if (command === WRITE_OUTPUT_PORT) {
      this.openA20((value & OUTPUT_A20) !== 0);
      if ((value & OUTPUT_NOT_RESET) === 0) this.options.onReset();
    } else if (command === WRITE_KEYBOARD_BUFFER) {
      enqueue(s.keyboardQueue, [value]);
    } else if (command === WRITE_AUX_BUFFER) {
      enqueue(s.auxLoopQueue, [value]);
    } else if (command === WRITE_AUX) {
      this.changeConfiguration(CONFIG_AUX_DISABLED, 0);
      enqueue(s.auxQueue, this.mouse.receive(value));
    } else {
      // Sending to a port enables it.
      this.changeConfiguration(CONFIG_KEYBOARD_DISABLED, 0);
      enqueue(
        s.keyboardQueue,
        this.keyboard.receive(value).map((byte) => this.translate(byte)),
      );
    }
    this.fillOutput();
  }

  private writeCommand(command: number): void {
    const s = this.s;
    s.lastWasCommand = true;
    s.awaiting = 0;
    if (command >= READ_RAM && command < READ_RAM + RAM_SIZE) {
      this.respond(s.ram[command - READ_RAM] ?? 0);
    } else if (command >= WRITE_RAM && command < WRITE_RAM + RAM_SIZE) {
      s.awaiting = command;
    } else if (command >= PULSE_OUTPUT) {
      // A zero bit pulses its line low; bit 0 is the processor's reset.
      if ((command & OUTPUT_NOT_RESET) === 0) this.options.onReset();
    } else {
      this.execute(command);
    }
    this.fillOutput();
  }

  private execute(command: number): void {
    const s = this.s;
    switch (command) {
      case WRITE_OUTPUT_PORT:
      case WRITE_KEYBOARD_BUFFER:
      case WRITE_AUX_BUFFER:
      case WRITE_AUX:
        s.awaiting = command;
        break;
      case PASSWORD_TEST:
        this.respond(NO_PASSWORD);
        break;
      case SELF_TEST:
        this.changeConfiguration(0, CONFIG_SYSTEM);
        this.respond(SELF_TEST_PASSED);
        break;
      case TEST_AUX:
      case TEST_KEYBOARD:
        this.respond(PORT_TEST_PASSED);
        break;
      case DISABLE_AUX:
        this.changeConfiguration(0, CONFIG_AUX_DISABLED);
        break;
      case ENABLE_AUX:
        this.changeConfiguration(CONFIG_AUX_DISABLED, 0);
        break;
      case DISABLE_KEYBOARD:
        this.changeConfiguration(0, CONFIG_KEYBOARD_DISABLED);
        break;
      case ENABLE_KEYBOARD:
        this.changeConfiguration(CONFIG_KEYBOARD_DISABLED, 0);
        break;
      case READ_INPUT_PORT:
        this.respond(INPUT_UNLOCKED);
        break;
      case READ_OUTPUT_PORT:
        this.respond(this.outputPort());
        break;
      case READ_TEST_INPUTS:
        this.respond(0);
        break;
      case DISABLE_A20:
      case ENABLE_A20:
        this.openA20(command === ENABLE_A20);
        break;
      default:
        break; // unknown commands are ignored
    }
  }

  private translate(byte: number): number {
    const on = (this.configuration() & CONFIG_TRANSLATE) !== 0;
    return on ? (TRANSLATED.get(byte) ?? byte) : byte;
  }

  // --- output buffer ---

  private respond(value: number): void {
    enqueue(this.s.controllerQueue, [value]);
  }

  /** Moves the next byte to the output buffer: the controller's own first, then what the ports sent. */
  private fillOutput(): void {
    const s = this.s;
    if (!s.outputFull) {
      const keyboardOn = (this.configuration() & CONFIG_KEYBOARD_DISABLED) === 0;
      const auxOn = (this.configuration() & CONFIG_AUX_DISABLED) === 0;
      let byte = s.controllerQueue.shift();
      let fromAux = false;
      if (byte === undefined) {
        byte = s.auxLoopQueue.shift() ?? (auxOn ? s.auxQueue.shift() : undefined);
        fromAux = byte !== undefined;
      }
      if (byte === undefined && keyboardOn) byte = s.keyboardQueue.shift();
      if (byte !== undefined) {
        s.output = byte;
        s.outputFull = true;
        s.outputFromAux = fromAux;
      }
    }
    this.driveIrqs();
  }

  private driveIrqs(): void {
    const s = this.s;
    const raised = (enable: number): boolean =>
      s.outputFull && (this.configuration() & enable) !== 0;
    this.options.keyboardIrq.set(!s.outputFromAux && raised(CONFIG_KEYBOARD_INTERRUPT));
    this.options.mouseIrq.set(s.outputFromAux && raised(CONFIG_AUX_INTERRUPT));
  }
}

function enqueue(queue: number[], bytes: readonly number[]): void {
  queue.push(...bytes.slice(0, QUEUE_LIMIT - queue.length));
}

/** What a {@link ControllerPort} asks of the controller. */
interface PortHandlers {
  read(): number;
  write(value: number): void;
  reset(): void;
  save(): DeviceState;
  load(state: DeviceState): void;
}

class ControllerPort extends ByteDevice {
  constructor(
    readonly name: string,
    private readonly handlers: PortHandlers,
  ) {
    super();
  }

  reset(): void {
    this.handlers.reset();
  }

  save(): DeviceState {
    return this.handlers.save();
  }

  load(state: DeviceState): void {
    this.handlers.load(state);
  }

  protected readByte(): number {
    return this.handlers.read();
  }

  protected writeByte(_offset: number, value: number): void {
    this.handlers.write(value);
  }
}
