import type { IrqLine } from '../../src/bus/irq-line.js';

/** A wire that keeps its level and counts how often it rose. */
export class ProbeLine implements IrqLine {
  level = false;
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }
}
