import { readFile } from 'node:fs/promises';

import { NodevmError } from '../errors.js';
import { nod, packObject, symlink, file } from '../initramfs/object.js';
import { packageFile } from '../package-file.js';

/** Where the agent lies until it has started. */
const HOME = '/.nodevm';

/** Our agent. */
const AGENT = packageFile('images/agent/agent');

/** Character devices of the guest: Documentation/admin-guide/devices.txt. */
const TTY_S1 = { major: 4, minor: 65 };
const MEM_NULL = { major: 1, minor: 3 };

/** What makes the kernel start the agent: an archive behind the others, and a word for the command line. */
export interface AgentOverlay {
  readonly archive: Uint8Array;
  readonly cmdline: string;
}

/**
 * The agent, set up to start the real init: the one that the command line names with rdinit=, or /init.
 * @throws NodevmError `E_USAGE` when the command line makes the agent's serial port a console
 */
export async function agentOverlay(cmdline: string): Promise<AgentOverlay> {
  if (/(^|\s)(console|earlycon|earlyprintk)=\S*ttyS1/.test(cmdline)) {
    throw new NodevmError(
      'E_USAGE',
      `append is ${JSON.stringify(cmdline)}, expected no console on ttyS1: that is the agent's port (agent: false does without it)`,
    );
  }
  const init = /(?:^|\s)rdinit=(\S+)/.exec(cmdline)?.[1] ?? '/init';
  const archive = packObject({
    [`${HOME}/agent`]: file(await readFile(AGENT), { mode: 0o755 }),
    [`${HOME}/init`]: symlink(init),
    [`${HOME}/tty`]: nod('c', TTY_S1.major, TTY_S1.minor),
    [`${HOME}/null`]: nod('c', MEM_NULL.major, MEM_NULL.minor),
  });
  const rest = cmdline.replace(/(^|\s)rdinit=\S+/g, '');
  return { archive, cmdline: `rdinit=${HOME}/agent ${rest.trimStart()}`.trimEnd() };
}
