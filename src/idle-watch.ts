/** A period in which the guest did little, in nanoseconds of guest time. */
export const IDLE_PERIOD_NS = 200e6;

/** Instructions that an idle guest spends in such a period on its own affairs: ticks and kernel threads. */
const IDLE_INSTRUCTIONS = 2e6;

/** Notices that the guest has nothing to do: its processor was halted for a period of guest time. */
export class IdleWatch {
  private halted = 0;
  private instructions = 0;
  private periods = 0;

  /** @param onPeriod called at the end of each idle period with their number in a row, from 1 */
  constructor(private readonly onPeriod: (periods: number) => void) {}

  /** The guest was halted for so many nanoseconds, and has retired `instructions` since power-on. */
  rested(nanoseconds: number, instructions: number): void {
    if (instructions - this.instructions > IDLE_INSTRUCTIONS || instructions < this.instructions) {
      this.halted = 0;
      this.periods = 0;
      this.instructions = instructions;
    }
    this.halted += nanoseconds;
    if (this.halted < IDLE_PERIOD_NS) return;
    this.halted = 0;
    this.instructions = instructions;
    this.onPeriod(++this.periods);
  }
}
