/** Where a debugger or a monitor listens: `tcp:[host]:port`, or `unix:path`, as QEMU spells it. */
import { rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

import { NodevmError } from '../errors.js';

/** A place to listen at. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Without a host, only this one's own programs get in. */
const LOOPBACK = '127.0.0.1';

/**
 * Parses `tcp::1234`, `tcp:host:port`, `unix:path`. QEMU's `,server`, `,nowait` and the like are taken and
 * mean nothing: it always is a server, and never waits.
 * @returns undefined for what is none of these
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const plain = text.replace(/(,(server|nowait|wait|server=on|wait=off|nodelay|ipv4|ipv6))*$/, '');
  const unix = /^unix:(.+)$/.exec(plain);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const tcp = /^tcp:(.*):(\d{1,5})$/.exec(plain);
  const port = Number(tcp?.[2]);
  if (tcp === null || port > 65535) return undefined;
  const host = tcp[1]?.replace(/^\[(.*)\]$/, '$1') ?? '';
  return { kind: 'tcp', host: host === '' ? LOOPBACK : host, port };
}

/**
 * Listens at an endpoint.
 * @returns the server, and the address in words: with the port that was given where 0 was asked for
 * @throws NodevmError `E_HOST` where that cannot be
 */
export async function listenAt(
  endpoint: Endpoint,
  onConnection: (socket: Socket) => void,
): Promise<{ readonly server: Server; readonly address: string }> {
  const server = createServer(onConnection);
  if (endpoint.kind === 'unix') removeSocket(endpoint.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new NodevmError('E_HOST', `${describe(endpoint)}: ${cause.message}`, { cause }));
    });
    server.listen(endpoint.kind === 'unix' ? { path: endpoint.path } : endpoint, resolve);
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { server, address: describe(endpoint.kind === 'tcp' ? { ...endpoint, port } : endpoint) };
}

function describe(endpoint: Endpoint): string {
  return endpoint.kind === 'unix'
    ? `unix:${endpoint.path}`
    : `tcp:${endpoint.host}:${endpoint.port}`;
}

/** A socket that a run before this one has left behind; anything else at that place is left alone. */
function removeSocket(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path);
}
