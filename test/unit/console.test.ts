import { describe, expect, it } from 'vitest';

import { SerialConsole, type InputPort } from '../../src/console.js';
import { NodevmError } from '../../src/errors.js';
import { PanicWatch } from '../../src/panic-watch.js';

/** A UART's input side with room for a few bytes. */
class SmallPort implements InputPort {
  readonly taken: number[] = [];
  room = 0;

  get inputWanted(): boolean {
    return this.room > 0;
  }

  receive(byte: number): boolean {
    if (this.room === 0) return false;
    this.room--;
    this.taken.push(byte);
    return true;
  }
}

function newConsole(): SerialConsole {
  return new SerialConsole(() => undefined);
}

function print(console: SerialConsole, text: string | Uint8Array): void {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  for (const byte of bytes) console.transmit(byte);
  console.flush();
}

describe('SerialConsole input', () => {
  it('loses and reorders nothing, however little the UART takes at a time', () => {
    const port = new SmallPort();
    let woken = 0;
    const console = new SerialConsole(() => woken++);
    console.connect(port);
    const sent = Array.from({ length: 1000 }, (_, i) => i & 0xff);
    for (let i = 0; i < sent.length; i += 37) console.write(Uint8Array.from(sent.slice(i, i + 37)));
    expect(console.queued).toBe(1000);
    expect(woken).toBe(28);
    for (let turn = 0; console.queued > 0; turn++) {
      port.room = turn % 3;
      console.feed();
    }
    expect(port.taken).toEqual(sent);
  });

  it('keeps what was written before there was a UART', () => {
    const console = newConsole();
    console.write('ls\n');
    const port = new SmallPort();
    port.room = 16;
    console.connect(port);
    console.feed();
    expect(String.fromCharCode(...port.taken)).toBe('ls\n');
  });

  it('is not disturbed by a caller who uses the buffer again', () => {
    const console = newConsole();
    const buffer = Uint8Array.of(1, 2);
    console.write(buffer);
    buffer.fill(9);
    const port = new SmallPort();
    port.room = 2;
    console.connect(port);
    console.feed();
    expect(port.taken).toEqual([1, 2]);
  });

  it('sends a string as UTF-8', () => {
    const console = newConsole();
    console.write('é');
    expect(console.queued).toBe(2);
  });
});

describe('SerialConsole output', () => {
  it('hands every byte to every listener in order, in chunks that stay as they are', () => {
    const console = newConsole();
    const chunks: Uint8Array[] = [];
    const off = console.onOutput((bytes) => chunks.push(bytes));
    const sent = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 7) & 0xff);
    print(console, sent.subarray(0, 9_000));
    print(console, sent.subarray(9_000));
    off();
    print(console, 'unheard');
    expect(chunks.map((chunk) => chunk.length)).toEqual([9_000, 1_000]);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  it('keeps the last lines, with a bound on what it keeps', () => {
    const console = newConsole();
    for (let i = 0; i < 50_000; i++) print(console, `line ${i}\r\n`);
    expect(console.tail(2)).toBe('line 49998\nline 49999');
    expect(console.tail(1e9).length).toBeLessThan(200_000);
  });
});

describe('SerialConsole.expect', () => {
  it('finds a string cut in two, and consumes up to its end', async () => {
    const console = newConsole();
    const first = console.expect('login: ');
    print(console, 'debian log');
    print(console, 'in: and log');
    expect(await first).toEqual({ text: 'login: ', before: 'debian ', groups: [] });
    const second = console.expect('login');
    print(console, 'in again');
    expect((await second).before).toBe('and ');
  });

  it('finds what was printed before the call', async () => {
    const console = newConsole();
    print(console, 'ready');
    expect((await console.expect('ready')).text).toBe('ready');
  });

  it('takes regular expressions with groups, whatever their flags', async () => {
    const console = newConsole();
    const pattern = /pid (\d+)(x)?;/g;
    pattern.lastIndex = 5;
    print(console, 'pid 12; pid 34;');
    expect((await console.expect(pattern)).groups).toEqual(['12', undefined]);
    expect((await console.expect(pattern)).groups).toEqual(['34', undefined]);
  });

  it('decodes UTF-8 that is cut in two', async () => {
    const console = newConsole();
    const found = console.expect('é!');
    print(console, Uint8Array.of(0xc3));
    print(console, Uint8Array.of(0xa9, 0x21));
    expect((await found).text).toBe('é!');
  });

  it('serves calls in the order in which they were made', async () => {
    const console = newConsole();
    const order: string[] = [];
    const both = Promise.all([
      console.expect('b').then(() => order.push('b')),
      console.expect('a').then(() => order.push('a')),
    ]);
    print(console, 'a b a');
    await both;
    expect(order).toEqual(['b', 'a']);
  });

  it('rejects with the console tail when the machine ends, and at once afterwards', async () => {
    const console = newConsole();
    const waiting = console.expect('never');
    print(console, 'Oops: 0000\r\n');
    console.end('the machine ended (panic)');
    await expect(waiting).rejects.toThrow(
      /"never" .*before the machine ended \(panic\).*\nOops: 0000/s,
    );
    await expect(waiting).rejects.toBeInstanceOf(NodevmError);
    await expect(console.expect(/more/)).rejects.toThrow('/more/');
    expect((await console.expect('Oops')).text).toBe('Oops');
  });

  it('rejects on timeout, and lets the next call look at the same text', async () => {
    const console = newConsole();
    print(console, 'only this');
    await expect(console.expect('that', { timeoutMs: 1 })).rejects.toThrow(
      /"that".*within \d+ ms.*\nonly/s,
    );
    expect((await console.expect('this')).before).toBe('only ');
  });
});

describe('PanicWatch', () => {
  const boot = [
    '[    0.900000] VFS: Unable to mount root fs',
    '[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
    '[    1.240000] CPU: 0 PID: 1 Comm: swapper/0',
    '[    1.250000] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---',
    '',
  ].join('\r\n');

  it.each([1, 2, 7, 10_000])('sees a panic in chunks of %i bytes', (size) => {
    const watch = new PanicWatch();
    const bytes = new TextEncoder().encode(boot);
    for (let i = 0; i < bytes.length; i += size) {
      expect(watch.finished).toBe(false);
      watch.feed(bytes.subarray(i, i + size));
    }
    expect(watch.message).toBe('VFS: Unable to mount root fs on unknown-block(0,0)');
    expect(watch.finished).toBe(true);
  });

  it('knows the other forms of a kernel line, and the last words before a reboot', () => {
    const watch = new PanicWatch();
    const lines =
      '[    1.2][    T1] Kernel panic - not syncing: Fatal\nRebooting in 10 seconds..\n';
    watch.feed(new TextEncoder().encode(lines));
    expect(watch.message).toBe('Fatal');
    expect(watch.finished).toBe(true);
    watch.reset();
    expect(watch.message).toBeUndefined();
  });

  it('is not taken in by a program that speaks of a panic', () => {
    const watch = new PanicWatch();
    watch.feed(new TextEncoder().encode('# grep "Kernel panic - not syncing: x" log\n'));
    watch.feed(new Uint8Array(1 << 20).fill(0x78));
    watch.feed(new TextEncoder().encode('\nlog: Kernel panic - not syncing: x\n'));
    expect(watch.message).toBeUndefined();
  });
});
