/** `npm run images`: makes the default guest, see default-guest.ts. */
import { parseArgs } from 'node:util';
import { NodevmError } from '../errors.js';
import { ExitStatus } from '../exit-status.js';
import { DEFAULT_FLAVOUR, FLAVOURS } from '../images.js';
import { buildDefaultGuest } from './default-guest.js';

function wantedFlavour() {
  const { values } = parseArgs({
    options: { flavour: { type: 'string', default: DEFAULT_FLAVOUR } },
  });
  const flavour = FLAVOURS.find((candidate) => candidate === values.flavour);
  if (flavour !== undefined) return flavour;
  throw new NodevmError(
    'E_USAGE',
    `--flavour is ${JSON.stringify(values.flavour)}, expected ${FLAVOURS.join(' or ')}`,
  );
}

function say(line: string): void {
  process.stderr.write(`nodevm: ${line}\n`);
}

try {
  await buildDefaultGuest(wantedFlavour(), say);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = ExitStatus.Internal;
}
