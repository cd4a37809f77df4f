/** The frames between host and agent; images/agent/agent.c says what each is for. */

/** What the agent prints first; whatever was on the line before is skipped. */
export const MAGIC = Buffer.from('\0nodevm-agent-1\n', 'latin1');

/** Most bytes of standard input that the agent may have and not have consumed. */
export const INPUT_WINDOW = 32768;

/** Longest payload that the agent takes. */
export const MAX_PAYLOAD = 128 * 1024 - 1;

const HEADER = 5;

/** Frames that the host sends. */
export type HostFrame = 'S' | 'W' | 'R' | 'I' | 'Z' | 'K';

/** A frame for the agent. */
export function frame(type: HostFrame, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = Buffer.alloc(HEADER + payload.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32LE(payload.length, 1);
  bytes.set(payload, HEADER);
  return bytes;
}

/** The payload of a request: strings, each ended by NUL. */
export function strings(words: readonly string[]): Uint8Array {
  return Buffer.from(words.map((word) => `${word}\0`).join(''));
}

/** What the agent says. */
export interface AgentListener {
  onHello(): void;
  onStdout(bytes: Uint8Array): void;
  onStderr(bytes: Uint8Array): void;
  /** So many bytes of the standard input have been consumed. */
  onCredit(bytes: number): void;
  /** The job has ended with this wait status. */
  onExit(waitStatus: number): void;
  /** The line carries something else than frames. */
  onNonsense(what: string): void;
}

/** Takes the agent's frames apart. Payload is passed on as it comes: no length makes it hold anything. */
export class FrameParser {
  /** How much of {@link MAGIC} was seen, and whether all of it. */
  private matched = 0;
  private greeted = false;
  private readonly header = Buffer.alloc(HEADER);
  private headerLength = 0;
  /** Bytes of the payload still to come. */
  private left = 0;
  private readonly number = Buffer.alloc(4);
  private numberLength = 0;

  constructor(private readonly listener: AgentListener) {}

  /** Forgets everything: the guest starts again. */
  reset(): void {
    this.matched = 0;
    this.greeted = false;
    this.headerLength = 0;
    this.left = 0;
    this.numberLength = 0;
  }

  /** Takes the next bytes of the line. */
  feed(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (!this.greeted) at = this.findMagic(bytes, at);
      else at = this.left > 0 ? this.takePayload(bytes, at) : this.takeHeader(bytes, at);
    }
  }

  private findMagic(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === MAGIC[this.matched]) this.matched++;
      // The magic's first byte is in it only once.
      else this.matched = byte === MAGIC[0] ? 1 : 0;
      if (this.matched < MAGIC.length) continue;
      this.greeted = true;
      this.listener.onHello();
      return at + 1;
    }
    return bytes.length;
  }

  private takeHeader(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + HEADER - this.headerLength);
    this.header.set(bytes.subarray(at, end), this.headerLength);
    this.headerLength += end - at;
    if (this.headerLength < HEADER) return end;
    this.headerLength = 0;
    this.numberLength = 0;
    this.left = this.header.readUInt32LE(1);
    const isStream = this.type === 'O' || this.type === 'E';
    const isNumber = (this.type === 'C' || this.type === 'X') && this.left === 4;
    if (!isStream && !isNumber) {
      this.reset();
      this.listener.onNonsense(`a frame of type ${JSON.stringify(this.type)}`);
    }
    return end;
  }

  private get type(): string {
    return String.fromCharCode(this.header[0] ?? 0);
  }

  private takePayload(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.left);
    const part = bytes.subarray(at, end);
    this.left -= part.length;
    if (this.type === 'O') this.listener.onStdout(part);
    else if (this.type === 'E') this.listener.onStderr(part);
    else this.takeNumber(part);
    return end;
  }

  private takeNumber(part: Uint8Array): void {
    this.number.set(part, this.numberLength);
    this.numberLength += part.length;
    if (this.left > 0) return;
    const value = this.number.readUInt32LE();
    if (this.type === 'C') this.listener.onCredit(value);
    else this.listener.onExit(value);
  }
}
