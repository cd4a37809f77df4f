import process from 'node:process';
import { configDefaults, defineConfig } from 'vitest/config';

/** Many boots of images that `npm run images:doors` and its like fetch: `npm run test:doors`. */
const LONG = [
  'test/boot/doors.test.ts',
  'test/boot/bios-programs.test.ts',
  'test/boot/initramfs-tools.test.ts',
  'test/boot/initramfs-tools-modules.test.ts',
];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/yielding.ts'],
    exclude: [...configDefaults.exclude, ...(process.env.NODEVM_LONG === '1' ? [] : LONG)],
    // A boot is one busy core for seconds: more files at once than cores would only make each slower.
    // Limits are safety nets, never part of what a test asserts.
    pool: 'forks',
    maxWorkers: 2,
    minWorkers: 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
