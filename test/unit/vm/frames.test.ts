import { describe, expect, it } from 'vitest';

import { frame, FrameParser, MAGIC } from '../../../src/vm/frames.js';

/** A parser and a record of what it found. */
function parser(): { feed: (bytes: Uint8Array) => void; found: string[]; reset: () => void } {
  const found: string[] = [];
  const parts = { O: '', E: '' };
  const note = (text: string): void => {
    for (const type of ['O', 'E'] as const) {
      if (parts[type] !== '') found.push(`${type} ${parts[type]}`);
      parts[type] = '';
    }
    found.push(text);
  };
  const frames = new FrameParser({
    onHello: () => note('hello'),
    onStdout: (bytes) => (parts.O += Buffer.from(bytes).toString('latin1')),
    onStderr: (bytes) => (parts.E += Buffer.from(bytes).toString('latin1')),
    onCredit: (bytes) => note(`credit ${bytes}`),
    onExit: (status) => note(`exit ${status}`),
    onNonsense: (what) => note(`nonsense ${what}`),
  });
  return { feed: (bytes) => frames.feed(bytes), found, reset: () => frames.reset() };
}

/** A frame of the agent's, which the host never sends. */
function fromAgent(type: string, payload: Uint8Array | number): Uint8Array {
  const bytes = typeof payload === 'number' ? new Uint8Array(4) : payload;
  if (typeof payload === 'number') new DataView(bytes.buffer).setUint32(0, payload, true);
  const whole = Buffer.from(frame('S', bytes));
  whole.write(type, 0, 'latin1');
  return whole;
}

const conversation = Buffer.concat([
  Buffer.from('kernel noise \0nodevm-agent-'),
  MAGIC,
  fromAgent('O', Buffer.from('out\0\xff', 'latin1')),
  fromAgent('E', Buffer.from('err')),
  fromAgent('C', 70_000),
  fromAgent('O', new Uint8Array()),
  fromAgent('X', 0x0300),
]);
const meaning = ['hello', 'O out\0\xff', 'E err', 'credit 70000', 'exit 768'];

describe('the frames of the agent', () => {
  it('are found behind whatever was on the line before', () => {
    const { feed, found } = parser();
    feed(conversation);
    expect(found).toEqual(meaning);
  });

  it.each([1, 2, 3, 5, 7, 11])('are found in pieces of %i bytes', (size) => {
    const { feed, found } = parser();
    for (let at = 0; at < conversation.length; at += size) {
      feed(conversation.subarray(at, at + size));
    }
    expect(found).toEqual(meaning);
  });

  it.each([
    ['an unknown type', fromAgent('?', 0)],
    ['a number of a wrong length', fromAgent('X', new Uint8Array(5))],
  ])('with %s are nonsense, and what follows is skipped up to the next greeting', (_what, bad) => {
    const { feed, found } = parser();
    feed(Buffer.concat([MAGIC, bad, fromAgent('X', 1), conversation]));
    expect(found[1]).toMatch(/^nonsense/);
    expect(found.slice(2)).toEqual(meaning);
  });

  it('begin anew after a reset in the middle of one', () => {
    const { feed, found, reset } = parser();
    feed(Buffer.concat([MAGIC, fromAgent('O', new Uint8Array(100)).subarray(0, 50)]));
    reset();
    feed(conversation);
    expect(found.at(-1)).toBe('exit 768');
  });
});
