import { spawn, spawnSync } from 'node:child_process';
import { Socket } from 'node:net';

/** Sets the modes $1 once the pipe on descriptor 3 ends without a word: its writer has died. */
const SCRIPT = 'read -r _ <&3 || stty "$1"';

/**
 * Watches over the terminal on stdin from a process of its own, for the ends that no handler sees
 * (SIGKILL, a fatal signal in native code). Call it before the terminal's modes are changed. Where there is
 * no stty(1), there is no guard.
 * @returns dismisses the guard, for when the modes were restored in good order; synchronous
 */
export function guardTerminal(): () => void {
  const { stdout, status } = spawnSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'] });
  if (status !== 0) return () => undefined;
  // A session of its own: what ends our process group, or moves it to the background, spares the guard.
  const guard = spawn('sh', ['-c', SCRIPT, 'sh', stdout.toString().trim()], {
    stdio: ['inherit', 'ignore', 'ignore', 'pipe'],
    detached: true,
  });
  guard.on('error', () => undefined);
  guard.unref();
  const pipe = guard.stdio[3];
  if (pipe instanceof Socket) pipe.unref();
  return () => guard.kill('SIGKILL');
}
