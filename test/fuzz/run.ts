/** `npm run fuzz -- [count] [seed]`: that many hostile images; what one breaks becomes a regression file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { Mutator, Victim } from './images.js';

const REGRESSIONS = fileURLToPath(new URL('regressions', import.meta.url));
const DEFAULT_COUNT = 100_000;

const [count = DEFAULT_COUNT, seed = 1] = process.argv.slice(2).map(Number);
const mutator = new Mutator(seed);
const victim = new Victim();
const outcomes = { taken: 0, refused: 0 };
let failures = 0;
for (let index = 0; index < count; index++) {
  const { name, bytes } = mutator.next();
  try {
    outcomes[victim.face(bytes)]++;
  } catch (error) {
    failures++;
    const path = join(REGRESSIONS, `${name}-${seed}-${index}.bin`);
    writeFileSync(path, bytes);
    process.stderr.write(`${path}: ${error instanceof Error ? error.stack : String(error)}\n`);
  }
}
process.stdout.write(
  `${count} images of seed ${seed}: ${outcomes.taken} taken, ${outcomes.refused} refused, ${failures} failures\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
