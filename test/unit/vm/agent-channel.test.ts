import { describe, expect, it } from 'vitest';

import type { BytePort } from '../../../src/serial-link.js';
import { AgentChannel, type Job } from '../../../src/vm/agent-channel.js';
import { frame, INPUT_WINDOW, MAGIC, MAX_PAYLOAD, strings } from '../../../src/vm/frames.js';

/** The guest's end of the line: what the host sent, and what the guest says. */
class Line implements BytePort {
  sent = '';
  private listener: (bytes: Uint8Array) => void = () => undefined;

  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    this.listener = listener;
    return () => undefined;
  }

  write(data: Uint8Array | string): void {
    this.sent += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
  }

  say(type: string, payload: string | number): void {
    const bytes = Buffer.from(typeof payload === 'string' ? payload : '\0\0\0\0', 'latin1');
    if (typeof payload === 'number') bytes.writeUInt32LE(payload);
    const whole = Buffer.from(frame('S', bytes));
    whole.write(type, 0, 'latin1');
    this.listener(whole);
  }

  greet(): void {
    this.listener(MAGIC);
  }

  /** Types of the frames sent, their payload left out. */
  get types(): string {
    const bytes = Buffer.from(this.sent, 'latin1');
    let types = '';
    for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32LE(at + 1)) {
      types += String.fromCharCode(bytes[at]!);
    }
    return types;
  }
}

function job(command: string, over: Partial<Job> = {}): Job & { out: string; err: string } {
  const made = {
    type: 'S' as const,
    payload: strings(['/', command]),
    input: new Uint8Array(),
    maxOutput: 1000,
    limit: undefined,
    out: '',
    err: '',
    onStdout: (bytes: Uint8Array) => (made.out += String(Buffer.from(bytes))),
    onStderr: (bytes: Uint8Array) => (made.err += String(Buffer.from(bytes))),
    failure: (reason: { kind: string }) => new Error(JSON.stringify(reason)),
    ...over,
  };
  return made;
}

function ready(): { line: Line; channel: AgentChannel } {
  const line = new Line();
  const channel = new AgentChannel(line, () => undefined);
  line.greet();
  channel.allow();
  return { line, channel };
}

describe('the channel to the agent', () => {
  it('sends nothing before the agent has greeted and the guest is set up', () => {
    const line = new Line();
    const channel = new AgentChannel(line, () => undefined);
    void channel.run(job('true'));
    expect(line.sent).toBe('');
    channel.allow();
    expect(line.sent).toBe('');
    line.greet();
    channel.allow();
    expect(line.types).toBe('SZ');
  });

  it('keeps output, error and status apart, also from job to job', async () => {
    const { line, channel } = ready();
    const [first, second] = [job('one'), job('two')];
    const statuses = Promise.all([channel.run(first), channel.run(second)]);
    expect(line.types).toBe('SZ');
    line.say('O', 'a');
    line.say('E', 'b');
    line.say('O', 'c');
    line.say('X', 3 << 8);
    expect(line.types).toBe('SZSZ');
    line.say('O', 'd');
    line.say('X', 9);
    expect(await statuses).toEqual([3, 137]);
    expect([first.out, first.err, second.out, second.err]).toEqual(['ac', 'b', 'd', '']);
  });

  it('sends as much input as the agent has room for', async () => {
    const { line, channel } = ready();
    const status = channel.run(job('cat', { input: new Uint8Array(2 * INPUT_WINDOW) }));
    expect(line.types).toBe('SIIII');
    line.say('C', 8192);
    expect(line.types).toBe('SIIIII');
    line.say('C', INPUT_WINDOW);
    line.say('C', INPUT_WINDOW);
    expect(line.types).toBe('SIIIIIIIIZ');
    line.say('X', 0);
    expect(await status).toBe(0);
  });

  it('kills a job that is given up, and lets the next wait until it is gone', async () => {
    const { line, channel } = ready();
    let expire: () => void = () => undefined;
    const slow = channel.run(
      job('sleep', {
        limit: (expired) => {
          expire = () => expired('within a moment', false);
          return () => undefined;
        },
      }),
    );
    const next = job('next');
    const nextStatus = channel.run(next);
    expire();
    await expect(slow).rejects.toThrow('within a moment');
    expect(line.types).toBe('SZK');
    line.say('O', 'of the first');
    line.say('X', 9);
    expect(line.types).toBe('SZKSZ');
    line.say('X', 0);
    expect(await nextStatus).toBe(0);
    expect(next.out).toBe('');
  });

  it('ends a job that writes too much', async () => {
    const { line, channel } = ready();
    const status = channel.run(job('yes', { maxOutput: 5 }));
    line.say('O', '123456');
    await expect(status).rejects.toThrow('"limit":5');
    expect(line.types).toBe('SZK');
  });

  it('fails what runs when the guest starts again, and keeps what waits', async () => {
    const { line, channel } = ready();
    const [running, waiting] = [channel.run(job('one')), channel.run(job('two'))];
    channel.restart();
    await expect(running).rejects.toThrow('started again');
    line.greet();
    channel.allow();
    line.say('X', 0);
    expect(await waiting).toBe(0);
  });

  it('fails everything, now and later, once it is broken', async () => {
    const { line, channel } = ready();
    const running = channel.run(job('one'));
    line.say('?', 'nonsense');
    await expect(running).rejects.toThrow('"kind":"broken"');
    await expect(channel.run(job('two'))).rejects.toThrow('"kind":"broken"');
  });

  it('refuses a command that the agent has no room for', async () => {
    const { channel } = ready();
    const long = job('x'.repeat(MAX_PAYLOAD));
    await expect(channel.run(long)).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});
