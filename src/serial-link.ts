/** The guest's side of a serial line: a UART that takes bytes when it has room for them. */
export interface InputPort {
  /** Whether {@link receive} would take a byte now. */
  readonly inputWanted: boolean;
  /** Offers one byte; false when it was not taken. */
  receive(byte: number): boolean;
}

/** One serial line of a machine, as seen from outside: bytes out, bytes in. */
export interface BytePort {
  /**
   * Calls `listener` with everything the guest prints, in order, at the end of each slice (some
   * milliseconds). The array is the listener's to keep, and not to change: others get it as well.
   * @returns a function that takes the listener off again
   */
  onOutput(listener: (bytes: Uint8Array) => void): () => void;
  /**
   * Queues bytes (a string as UTF-8) for the guest, which takes them at its own pace. Nothing is ever
   * lost or reordered, also when the guest does not listen yet.
   */
  write(data: Uint8Array | string): void;
}

/**
 * The byte stream between a UART and the world. The machine transmits into it byte by byte and
 * flushes it at the end of each slice; input waits here until the UART wants it.
 */
export class SerialLink implements BytePort {
  private port: InputPort | undefined;
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();

  private output = new Uint8Array(4096);
  private outputLength = 0;

  private readonly input: Uint8Array[] = [];
  private inputOffset = 0;
  private inputLength = 0;

  /** @param wake called when there is something new for the guest, which may be asleep */
  constructor(private readonly wake: () => void) {}

  /** Puts the UART on the other end. */
  connect(port: InputPort): void {
    this.port = port;
  }

  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  write(data: Uint8Array | string): void {
    // A copy, since the caller may fill the buffer again before the guest has taken it.
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data.slice();
    if (bytes.length === 0) return;
    this.input.push(bytes);
    this.inputLength += bytes.length;
    this.feed();
    this.wake();
  }

  /** Bytes written that the guest has not taken yet. */
  get queued(): number {
    return this.inputLength;
  }

  /** Drops what the guest has not taken. */
  discardInput(): void {
    this.input.length = 0;
    this.inputOffset = 0;
    this.inputLength = 0;
  }

  /** Takes one byte that the guest has printed. */
  transmit(byte: number): void {
    if (this.outputLength === this.output.length) {
      const larger = new Uint8Array(2 * this.output.length);
      larger.set(this.output);
      this.output = larger;
    }
    this.output[this.outputLength++] = byte;
  }

  /** Hands waiting input to the UART for as long as it wants any. */
  feed(): void {
    const { port } = this;
    if (port === undefined) return;
    for (let chunk = this.input[0]; chunk !== undefined; chunk = this.input[0]) {
      const byte = chunk[this.inputOffset];
      if (byte === undefined) {
        this.input.shift();
        this.inputOffset = 0;
        continue;
      }
      if (!port.inputWanted || !port.receive(byte)) return;
      this.inputOffset++;
      this.inputLength--;
    }
  }

  /**
   * Passes on what was printed since the last call.
   * @returns whether there was anything
   */
  flush(): boolean {
    if (this.outputLength === 0) return false;
    const bytes = this.output.slice(0, this.outputLength);
    this.outputLength = 0;
    this.printed(bytes);
    return true;
  }

  /** Tells the listeners. */
  protected printed(bytes: Uint8Array): void {
    for (const listener of this.listeners) listener(bytes);
  }
}
