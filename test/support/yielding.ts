/**
 * Between tests the event loop takes a turn: vitest hears from its workers by messages, and gives one up that was
 * busy for a minute, which the hundreds of tests of the processor that never wait for anything are on a slow host.
 */
import { afterEach } from 'vitest';

afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)));
