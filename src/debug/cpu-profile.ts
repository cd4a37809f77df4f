import { ExitReason } from '../native.js';
import type { Follower } from './trace-hub.js';

/** Instructions between two samples: a millisecond under icount. */
const SAMPLE_EVERY = 1_000_000;

interface ProfileNode {
  readonly id: number;
  readonly name: string;
  hits: number;
  readonly children: Map<string, ProfileNode>;
}

/**
 * Samples the guest's functions with their callers, for Chrome DevTools and speedscope (.cpuprofile). A sample
 * stands for the guest time since the one before; time in HLT is `(idle)`.
 */
export class CpuProfile implements Follower {
  readonly kinds = [];
  until = SAMPLE_EVERY;

  private readonly nodes: ProfileNode[] = [];
  private readonly root = this.node('(root)');
  private readonly idle = this.child(this.root, '(idle)');
  private readonly samples: number[] = [];
  private readonly deltas: number[] = [];
  /** Guest time of the last sample, in nanoseconds. */
  private sampled = 0;
  private halted = false;

  /** @param stack names of the functions that run, innermost first */
  constructor(private readonly stack: () => readonly string[]) {}

  returned(instructions: number, now: number, reason: ExitReason): void {
    if (this.halted) this.record(this.idle, now);
    this.halted = reason === ExitReason.Halt;
    if (instructions < this.until && !this.halted) return;
    this.until = instructions + SAMPLE_EVERY;
    let node = this.root;
    for (const name of [...this.stack()].reverse()) node = this.child(node, name);
    this.record(node, now);
  }

  /** The profile as the contents of a .cpuprofile file. */
  finish(): string {
    const nodes = this.nodes.map(({ id, name, hits, children }) => ({
      id,
      callFrame: { functionName: name, scriptId: '0', url: '', lineNumber: -1, columnNumber: -1 },
      hitCount: hits,
      children: [...children.values()].map((child) => child.id),
    }));
    return JSON.stringify({
      nodes,
      startTime: 0,
      endTime: this.sampled / 1e3,
      samples: this.samples,
      timeDeltas: this.deltas,
    });
  }

  /** The functions with most time of their own, for people. */
  summary(most = 15): string[] {
    const times = new Map<string, number>();
    this.samples.forEach((id, n) => {
      const name = this.nodes[id - 1]?.name ?? '';
      times.set(name, (times.get(name) ?? 0) + (this.deltas[n] ?? 0));
    });
    const total = this.sampled / 1e3;
    const rows = [...times].sort(([, a], [, b]) => b - a).slice(0, most);
    return [
      `guest functions by time of their own (${this.samples.length} samples):`,
      ...rows.map(([name, time]) => {
        const share = ((100 * time) / Math.max(1, total)).toFixed(1);
        return `${share.padStart(6)} % ${(time / 1e3).toFixed(1).padStart(9)} ms  ${name}`;
      }),
    ];
  }

  private record(node: ProfileNode, now: number): void {
    node.hits++;
    this.samples.push(node.id);
    this.deltas.push((now - this.sampled) / 1e3);
    this.sampled = now;
  }

  private child(parent: ProfileNode, name: string): ProfileNode {
    let child = parent.children.get(name);
    if (child === undefined) {
      child = this.node(name);
      parent.children.set(name, child);
    }
    return child;
  }

  private node(name: string): ProfileNode {
    const node = { id: this.nodes.length + 1, name, hits: 0, children: new Map() };
    this.nodes.push(node);
    return node;
  }
}
