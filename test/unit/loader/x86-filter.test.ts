import { describe, expect, it } from 'vitest';

import { pick, seededEntropy } from '../../../src/entropy.js';
import { decompressAt } from '../../../src/initramfs/compression.js';

/** What looks like branches to the filter, and what it looks at around them. */
const ALPHABET = [0xe8, 0xe9, 0x00, 0xff, 0x12, 0x90];

/** Bytes of {@link ALPHABET} by seed 5, packed with xz --check=crc32 --x86 --lzma2. */
const PACKED = [
  '/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4Au3BsJdAAAFIiYmFtTdPQILH7tvCSTzhvb4ygw80tKqWX3ZCjf1DH1+hQ',
  'xTnfG3dY1QjIHy35Vl+G3vd7iy9TJ0kb+wCricI/d/T/7zgjwwjihNsHHRpfNw9jx5FI8fuWs30ZFfOfNxgHvbmlZl',
  '61GD7EIzbBGa7JlHwEULPWzLnuh+nB4mlUuNJyz2VJcqjo9h27OGEGstUABzvdk8UcqQnZGzkAcsBrG/vIGYq5sI4Y',
  'A09te4SFIrMcFz1Y9KMlcwPm66YwswSZO2M79tWbuSozkBOrGfBalnosOUZz6L8uff/aGPusQ7cr5LSRvE7dBpkJMt',
  'dbPYrISBCd18q2J2sbnnxnsvyXGP/1bmlEmtSlgJARbTY3IK+i5a+7d3ZEiTfEdVz+xO4MpkmocJFRFDlaBeQYcguG',
  'FBxTIxLu48dIsSUW3YvUeu+2keCnLVxiXuKz5lRwkEaQn4GFfwY23dLw80PzgUeyEIPOu1q13OXJnc7Mps1hiEpHAL',
  'sh31laBt52jtsoI/RFXp2+sbU9U1tNaYph0+cmPeKcbWZ+0mCmjylAMSPrAmoQB/9jyr0wk+hm2FSBsZTKYTvXUFeF',
  'jOQktzMnwxgVmLVbSPjAlBrO3Arlalk+uDcZxY6ycHVPVyrp9TUbWp8jlWl00nbQ7/2SCIjU9IvL3cxrMrOEb+bUiA',
  'fLzoM08zOLPnD0q/wUDZGu7jmsumczr6qoe2Sd1z6/w9lnluvzMA7g1wb8dWEbeh7jjvN2X1am5paPqiF75EhZM1ro',
  'BWFCorgEpX+hhcnTXVe910PTmQQAw3V+yWWetGMO8jiIRpsoXe5Ay1N8EMvDTQN2X1qU+kexjTd34M0nQb4dPeJDVG',
  'xJJw12t9R0fIGJJvJWALacujYKffCtkLRvRNb8Phw2+cUmkF91YltjtJSyceFxwhK8kjYOcglQrqB35pVM00qcr0Fx',
  'hfnpJ75rSWdhxjXGjIqtdyXF4KWZeXcrSii5Dnc7h/lQgCL7R9ipOW3z7CT4pw65ldnTNkCRm+IlQ4U3YpKa55UkD6',
  'm/VYYncZ1YnhCT6Rd0MiyXrE5C1k+e94G9M+UMXz0bAx3nVUTBM3slwqxgE6jDdCdfWzamo8JDK7767yPKUlsqFxVg',
  'M1qf5o3PdBd3ATxXYd32pXbu0Ht5RvYrE99ApYJQs3yFGuQ207pgGNefIGpv1KMecZt1ql7oabwtcoIQDbwylgexcn',
  'DLL7vZFrlfz96zKOuKBJCXG0FX9qJrF8aF48U2vH5Xcu6ayyHhET9RwDgjPRw0/mn3qOx2QHj5jSyNq47dLZhS/9Tl',
  'EVgj26xbC6lP5/5hee+Ek+mezBYINhgZazigVU0b+x3g54EuiO8yy/AuZg7TD/Lr2Nx/S0Mf3srfhTk/hzZBS2tY7J',
  '1Adx4Fd/u8Nj/IU57pzY/aJVw8r+nWfB+uPHUT+tVfnhoxg4Sz5Q4hhg3wCLt1i/GAJMJtGN5zdS7fT9QiJMFT/XGf',
  'iwmI+yOpQZ4c66raIytmpQ7KiDqq2Jj8X6yAYezlqgeKjEaRvmzlSR3MWFVyNbYyWGEMlgXLQZ5QfO4yMUS/sv5otH',
  'cGf/ySHw/pKl0BWJUO8auZNjX7RNM8fWYwx4PPW609r85BIlf3Ci+6/qhkPm2fwkfhllH7I4xcpKScayBwaf5Ej40T',
  'C5yTnvU2VXUE0UAHCMLsv7be/7wHC+YdQSea1oEoJJu7grzN6BNO7c8+I4UpkWVDwX9wPsVVsggpIh6fzDNmVfAeRG',
  '5j4h2heRplATe2zSZ1a5KPze0gv2lrqIW3DSwvotxsQj98S4sJvZit2JjhyVqeQb6mtxOtaiaid5WLDDMiCdqnEIAD',
  'vFHPwsskTIsMJGY07+d5KzW8aI4jZZ/Ez6c683dNEPZtdka2n7zJNqdZ8K3y27tUn6ADHqPyFXMYejYHgoKe32jRqy',
  'MBqHIivUPObDj9Uqw6YaVI4uVC59caHYlx+mJvppKg+EZg3kze4EfDvBcleiWCkV3B5THSYmmFWFfObdyjOtHJmj/C',
  '64F6DoNbUOm2p9VlZS1L57KOw3JIsbQS1Uz40IBWbzrC7PUo6FfPuk3zGJdOrh25wpQD2eG79XwoXEBfZ94ARc6Gb4',
  'TRZPiUPpzDVDdg4se51RRVOjcKq3IN8Kiz9XLequ8ZyNcQRZTq1pFZwkbRGSzff2zkNUHVOch8ac8foyVbXGCZKMRq',
  'MTu8pnpEAudHtNEpFpn//ECKhgrjYLNMY9RFGhdbVjpak6bfd9gD+2P1mcVSG5a06XWYV/nCzulob+680LVHgmf0Eo',
  'TUMv1RoAAAAAHuiO8wAB2g24FwAApfzPST4wDYsCAAAAAAFZWg==',
].join('');

describe('the x86 filter of xz', () => {
  it('is undone as xz does it', () => {
    const entropy = seededEntropy(5n);
    const expected = Uint8Array.from({ length: 3000 }, () => ALPHABET[pick(entropy, 6)] as number);
    const packed = Buffer.from(PACKED, 'base64');
    const { data } = decompressAt(packed, 0, expected.length);
    expect(Buffer.compare(data, expected)).toBe(0);
  });

  it('is refused with a start offset, and where another filter is', () => {
    const packed = Buffer.from(PACKED, 'base64');
    const filters = packed.indexOf(Buffer.from([0x04, 0x00, 0x21]));
    packed[filters] = 0x05;
    expect(() => decompressAt(packed, 0, 4096)).toThrow(/filters are 0x5, 0x21, expected LZMA2/);
  });
});
