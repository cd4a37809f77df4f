/** Instructions without output after which a guest is looked into for the first time: some ten seconds of work. */
const FIRST_LOOK = 3e9;

/** Says when a guest that works without printing anything should be looked into: ever more rarely. */
export class SilenceWatch {
  private due = FIRST_LOOK;

  /** The guest has printed something, or starts. */
  broken(instructions: number): void {
    this.due = instructions + FIRST_LOOK;
  }

  /** Whether to look now, having retired so many instructions; the next time is twice as far away. */
  isDue(instructions: number): boolean {
    if (instructions < this.due) return false;
    this.due = 2 * instructions;
    return true;
  }
}
