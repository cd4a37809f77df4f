/** `npm run images:bios`, see bios-images.ts. */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';

import { stateDirectory } from '../../src/images.js';
import { PrivateApt, unpack } from '../../src/images/apt.js';
import { BIOS_IMAGES, BIOS_PACKAGES, GRUB_CORES, GRUB_MODULES, biosImage } from './bios-images.js';

const GRUB_FOLDER = 'usr/lib/grub/i386-pc';
const LIBRARY_FOLDERS = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'];

async function unpackPackage(apt: PrivateApt, name: string, pattern: string, work: string) {
  await unpack(await apt.download(await apt.find(name)), pattern, work);
}

/** grub-mkimage is run from its package: it need not be installed. */
async function makeGrub(apt: PrivateApt, work: string): Promise<void> {
  await unpackPackage(apt, 'grub-common', './usr/bin/grub-mkimage', work);
  await unpackPackage(apt, 'libdevmapper1.02.1', '*/libdevmapper.so*', work);
  await unpackPackage(apt, 'grub-pc-bin', `./${GRUB_FOLDER}/*`, work);
  const folder = join(work, GRUB_FOLDER);
  for (const name of ['boot.img', 'lnxboot.img'])
    await copyFile(join(folder, name), biosImage(name));
  const libraries = LIBRARY_FOLDERS.map((path) => join(work, path)).join(':');
  for (const [name, config] of Object.entries(GRUB_CORES)) {
    const configPath = join(work, 'grub.cfg');
    await writeFile(configPath, config);
    const words = ['-O', 'i386-pc', '-d', folder, '-p', '/boot', '-c', configPath];
    execFileSync(
      join(work, 'usr/bin/grub-mkimage'),
      [...words, '-o', biosImage(name), ...GRUB_MODULES],
      { env: { ...process.env, LD_LIBRARY_PATH: libraries } },
    );
  }
}

await mkdir(BIOS_IMAGES, { recursive: true });
const apt = await PrivateApt.create(join(stateDirectory(), 'apt-amd64'), 'amd64');
await apt.update();
const work = await mkdtemp(join(BIOS_IMAGES, 'work-'));
try {
  for (const [name, files] of Object.entries(BIOS_PACKAGES)) {
    for (const file of files) {
      await unpackPackage(apt, name, file, work);
      await copyFile(join(work, file), biosImage(basename(file)));
    }
  }
  await makeGrub(apt, work);
} finally {
  await rm(work, { recursive: true });
}
