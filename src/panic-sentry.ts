import { phaseAtCode } from './debug/boot-phase.js';
import { panicInLog } from './debug/verdict-linux.js';
import type { GuestView } from './debug/guest-view.js';
import type { Symbols } from './debug/symbols.js';
import { PanicWatch } from './panic-watch.js';
import type { BytePort } from './serial-link.js';

/** How many instructions a panicking kernel gets for the rest of its message. */
const PANIC_GRACE = 200e6;

/** Instructions without output after which the log is looked into for the first time: some ten seconds of work. */
const FIRST_LOOK = 3e9;

/** What the sentry looks at. */
export interface PanicSentryOptions {
  readonly consoles: readonly BytePort[];
  readonly view: GuestView;
  readonly symbols: Symbols;
  /** Whether to look for panics that no console shows. */
  readonly lookIntoMemory: boolean;
}

/** Notices that the kernel has panicked: on a console, or in its log where no console shows it. */
export class PanicSentry {
  /** Whether the guest has printed anything since power-on. */
  hasPrinted = false;

  private readonly watches: readonly PanicWatch[];
  private silent: string | undefined;
  /** Instruction count at which a silent guest is looked into next. */
  private nextLook = FIRST_LOOK;
  /** Instruction count at which a panic was first seen. */
  private since: number | undefined;

  constructor(private readonly options: PanicSentryOptions) {
    this.watches = options.consoles.map((console) => {
      const watch = new PanicWatch();
      console.onOutput((bytes) => watch.feed(bytes));
      return watch;
    });
  }

  /** What follows "Kernel panic - not syncing: ", undefined as long as there was no panic. */
  get message(): string | undefined {
    return this.watches.find(({ message }) => message !== undefined)?.message ?? this.silent;
  }

  /** Forgets everything: the guest starts anew. */
  reset(): void {
    for (const watch of this.watches) watch.reset();
    this.hasPrinted = false;
    this.silent = undefined;
    this.since = undefined;
    this.nextLook = FIRST_LOOK;
  }

  /**
   * To be called after each slice. A guest that works without printing is looked into ever more rarely.
   * @param printed whether the guest printed in it
   * @param instructions retired so far
   */
  sliceEnded(printed: boolean, instructions: number): void {
    if (printed) {
      this.hasPrinted = true;
      this.nextLook = instructions + FIRST_LOOK;
    } else if (instructions >= this.nextLook) {
      // A kernel that unpacks itself works long in silence, and has no log before it is done.
      const unpacks = phaseAtCode(this.options.view) === 'decompressor';
      this.nextLook = unpacks ? instructions + FIRST_LOOK : 2 * instructions;
      if (!unpacks) this.look();
    }
    if (this.message !== undefined) this.since ??= instructions;
  }

  /** The guest resets itself. */
  guestResets(): void {
    if (!this.hasPrinted) this.look();
  }

  /** Whether a panicking kernel has said all, or has had time enough to. */
  isOver(instructions: number): boolean {
    if (this.silent !== undefined) return true;
    const isLate = this.since !== undefined && instructions - this.since > PANIC_GRACE;
    return isLate || this.watches.some(({ finished }) => finished);
  }

  private look(): void {
    const { view, symbols, lookIntoMemory } = this.options;
    if (lookIntoMemory) this.silent ??= panicInLog(view, symbols);
  }
}
