import { readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';

/** One boot to the shell. */
export interface Boot {
  /** Host seconds from the start of the process to the mark on the console. */
  readonly seconds: number;
  /** Peak resident set of the process, in bytes. */
  readonly peakRss: number;
  /** Guest instructions up to the mark, where the machine counts them. */
  readonly instructions?: number;
  /** Host seconds of the guest's own run up to the mark: without the start of the process. */
  readonly runSeconds?: number;
}

/** The median, which a single disturbed run does not move. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/**
 * Runs a command until `mark` appears on its stdout, then ends it.
 * @throws Error with the output where the command ends without the mark
 */
export function timeToMark(command: string, args: readonly string[], mark: string): Promise<Boot> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    let boot: Boot | undefined;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (boot !== undefined || !output.includes(mark)) return;
      const seconds = (performance.now() - started) / 1e3;
      boot = { seconds, peakRss: peakRssOf(child.pid) };
      child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', () => {
      if (boot !== undefined) resolve(boot);
      else reject(new Error(`${command} ended without ${JSON.stringify(mark)}:\n${output}`));
    });
  });
}

/** Peak resident set of a process (VmHWM of proc(5)), in bytes; NaN where there is no /proc. */
export function peakRssOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid ?? 'self'}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  } catch {
    return NaN;
  }
}
