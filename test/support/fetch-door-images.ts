/** `npm run images:doors`, see door-images.ts. */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { stateDirectory } from '../../src/images.js';
import { PrivateApt, unpack } from '../../src/images/apt.js';
import {
  buildInitramfs,
  extractBusybox,
  extractKernel,
  findKernelPackage,
} from '../../src/images/default-guest.js';
import { DOOR_IMAGES, DOOR_KERNELS, INITRD_I386, MEMTESTS, doorKernel } from './door-images.js';

/** Runs `use` with a directory that is gone afterwards. */
async function withScratch(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(DOOR_IMAGES, 'work-'));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function fetchKernels(apt: PrivateApt, flavours: readonly string[]): Promise<void> {
  for (const flavour of flavours) {
    const deb = await apt.download(await findKernelPackage(apt, flavour));
    await withScratch(async (work) =>
      copyFile(await extractKernel(deb, work), doorKernel(flavour)),
    );
    process.stderr.write(`${doorKernel(flavour)}\n`);
  }
}

async function fetchMemtests(apt: PrivateApt): Promise<void> {
  const deb = await apt.download(await apt.find('memtest86+'));
  await withScratch(async (work) => {
    await unpack(deb, './boot/*.bin', work);
    for (const name of MEMTESTS) await copyFile(join(work, 'boot', name), join(DOOR_IMAGES, name));
  });
}

await mkdir(DOOR_IMAGES, { recursive: true });
for (const architecture of ['amd64', 'i386'] as const) {
  const apt = await PrivateApt.create(join(stateDirectory(), `apt-${architecture}`), architecture);
  await apt.update();
  await fetchKernels(apt, DOOR_KERNELS[architecture]);
  if (architecture === 'amd64') {
    await fetchMemtests(apt);
  } else {
    const deb = await apt.download(await apt.find('busybox-static'));
    await withScratch(async (work) => {
      await writeFile(INITRD_I386, await buildInitramfs(await extractBusybox(deb, work)));
    });
  }
}
