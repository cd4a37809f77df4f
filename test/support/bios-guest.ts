/** Builds bios-services.s, and drives with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('bios-services.s', import.meta.url));
const BOOT_SECTOR = '0x7c00';
const SECTOR_SIZE = 512;

/** First sector that holds its number; see bios-services.s. */
const FIRST_NUMBERED = 16;

/** Whether GNU binutils are there, without which what needs them is skipped. */
export function haveAssembler(): boolean {
  try {
    for (const tool of ['as', 'ld']) execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('skipped: GNU as and ld are not there\n');
    return false;
  }
}

/** An image of that many sectors, which starts with the guest. */
export function buildServicesDrive(sectors: number): Uint8Array {
  const image = new Uint8Array(sectors * SECTOR_SIZE);
  const view = new DataView(image.buffer);
  for (let sector = FIRST_NUMBERED; sector < sectors; sector++) {
    view.setUint32(sector * SECTOR_SIZE, sector, true);
  }
  image.set(assemble());
  return image;
}

function assemble(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'nodevm-bios-'));
  const path = (name: string): string => join(directory, name);
  try {
    execFileSync('as', ['--32', '-o', path('object'), SOURCE]);
    const link = ['-m', 'elf_i386', '-Ttext', BOOT_SECTOR, '--oformat', 'binary'];
    execFileSync('ld', [...link, '-o', path('image'), path('object')]);
    return readFileSync(path('image'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
