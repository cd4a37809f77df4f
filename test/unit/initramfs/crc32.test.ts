import { expect, it } from 'vitest';

import { crc32, crc32ByTable } from '../../../src/initramfs/codecs/crc32.js';

// "123456789" is the check value that catalogues of CRCs give.
it.each([crc32, crc32ByTable])('is the CRC-32 of gzip and xz', (sum) => {
  expect(sum(Buffer.from('123456789'))).toBe(0xcbf4_3926);
  expect(sum(new Uint8Array(0))).toBe(0);
});
