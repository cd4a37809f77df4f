/** The lists that the kernel's usr/gen_init_cpio reads: one entry a line. */
import { badInitrd } from './bad.js';
import { permissionsOf, quoted, segmentsOf } from './entry.js';
import type { Attributes, InitramfsEntry } from './entry.js';

/** Reads the file that a `file` line names. */
export type FileReader = (location: string, line: number) => Promise<Uint8Array>;

/** What each kind of line takes behind its name and path. */
const USAGE = {
  file: '<name> <location> <mode> <uid> <gid> [<hard links>]',
  dir: '<name> <mode> <uid> <gid>',
  nod: '<name> <mode> <uid> <gid> <b|c> <major> <minor>',
  slink: '<name> <target> <mode> <uid> <gid>',
  pipe: '<name> <mode> <uid> <gid>',
  sock: '<name> <mode> <uid> <gid>',
} as const;
type Keyword = keyof typeof USAGE;

const TYPE_OF = { dir: 'dir', pipe: 'fifo', sock: 'socket' } as const;

/** Whether a text's first line that says anything is one of a list. */
export function looksLikeList(text: string): boolean {
  const first = text.split('\n').find((line) => !/^\s*(#.*)?$/.test(line));
  return first !== undefined && isKeyword(first.trim().split(/\s+/)[0] ?? '');
}

/**
 * Parses a list. `${NAME}` in the location of a file stands for an environment variable.
 * @throws NodevmError `E_BAD_INITRD` naming the line; and what `read` throws
 */
export async function parseList(
  text: string,
  read: FileReader,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<readonly InitramfsEntry[]> {
  const entries: InitramfsEntry[] = [];
  for (const [index, content] of text.split('\n').entries()) {
    if (/^\s*(#.*)?$/.test(content)) continue;
    const line = new Line(content, index + 1);
    const { path } = line;
    switch (line.keyword) {
      case 'file': {
        const location = expand(line.word(), env, line);
        const base = { path, ...line.attributes() };
        entries.push({ ...base, type: 'file', data: await read(location, line.number) });
        for (const name of line.rest()) {
          entries.push({ ...base, path: pathOf(name), type: 'link', target: path });
        }
        break;
      }
      case 'slink': {
        const target = line.word();
        entries.push({ path, type: 'symlink', target, ...line.attributes() });
        break;
      }
      case 'nod': {
        const attributes = line.attributes();
        const type = line.deviceType();
        const [major, minor] = [line.decimal(), line.decimal()];
        entries.push({ path, type, major, minor, ...attributes });
        break;
      }
      case 'dir':
      case 'pipe':
      case 'sock':
        entries.push({ path, type: TYPE_OF[line.keyword], ...line.attributes() });
        break;
    }
    line.expectEnd();
  }
  return entries;
}

/**
 * The list that makes these entries, the contents of files excepted.
 * @param location where the file with that path is found, for the list's `file` lines
 * @throws NodevmError `E_BAD_INITRD` for a name with white space, which a list cannot have
 */
export function formatList(
  entries: readonly InitramfsEntry[],
  location: (path: string) => string,
): string {
  const links = new Map<string, string[]>();
  for (const entry of entries) {
    if (entry.type !== 'link') continue;
    const names = links.get(entry.target) ?? [];
    links.set(entry.target, [...names, `/${entry.path}`]);
  }
  const lines = entries.map((entry) => {
    const mode = permissionsOf(entry).toString(8).padStart(4, '0');
    const owner = [mode, entry.uid ?? 0, entry.gid ?? 0];
    const name = `/${segmentsOf(entry.path).join('/')}`;
    switch (entry.type) {
      case 'link':
        return [];
      case 'file':
        return ['file', name, location(entry.path), ...owner, ...(links.get(entry.path) ?? [])];
      case 'symlink':
        return ['slink', name, entry.target, ...owner];
      case 'char':
      case 'block':
        return ['nod', name, ...owner, entry.type[0], entry.major, entry.minor];
      case 'dir':
        return ['dir', name, ...owner];
      case 'fifo':
        return ['pipe', name, ...owner];
      case 'socket':
        return ['sock', name, ...owner];
    }
  });
  return lines.map(formatLine).join('');
}

function formatLine(words: readonly (string | number | undefined)[]): string {
  if (words.length === 0) return '';
  const bad = words.find((word) => typeof word === 'string' && /\s|^$|^#/.test(word));
  if (bad !== undefined) {
    throw badInitrd(`${quoted(String(bad))} cannot be written to a list: it has white space`);
  }
  return `${words.join(' ')}\n`;
}

/** The words of one line, taken from left to right. */
class Line {
  readonly keyword: Keyword;
  readonly path: string;
  private readonly words: string[];

  constructor(
    content: string,
    readonly number: number,
  ) {
    this.words = content.trim().split(/\s+/);
    const [keyword = ''] = this.words.splice(0, 1);
    if (!isKeyword(keyword)) {
      throw badInitrd(
        `initramfs list, line ${number}: keyword is ${quoted(keyword)}, expected ${Object.keys(USAGE).join(', ')}`,
      );
    }
    this.keyword = keyword;
    this.path = pathOf(this.word());
  }

  word(): string {
    const word = this.words.shift();
    if (word === undefined) throw this.bad('a word is missing');
    return word;
  }

  rest(): readonly string[] {
    return this.words.splice(0);
  }

  attributes(): Required<Attributes> {
    const mode = this.word();
    if (!/^[0-7]{1,6}$/.test(mode)) throw this.bad(`mode is ${quoted(mode)}, not octal`);
    return { mode: Number.parseInt(mode, 8) & 0o7777, uid: this.decimal(), gid: this.decimal() };
  }

  decimal(): number {
    const word = this.word();
    if (!/^\d{1,10}$/.test(word)) throw this.bad(`${quoted(word)} is not a decimal number`);
    return Number(word);
  }

  deviceType(): 'block' | 'char' {
    const word = this.word();
    if (word !== 'b' && word !== 'c') throw this.bad(`device type is ${quoted(word)}`);
    return word === 'b' ? 'block' : 'char';
  }

  expectEnd(): void {
    const [word] = this.words;
    if (word !== undefined) throw this.bad(`there is ${quoted(word)} at its end`);
  }

  bad(what: string): Error {
    const usage = `${this.keyword} ${USAGE[this.keyword]}`;
    return badInitrd(`initramfs list, line ${this.number}: ${what}, expected "${usage}"`);
  }
}

function isKeyword(word: string): word is Keyword {
  return Object.hasOwn(USAGE, word);
}

/** Names in lists usually begin with "/", those in archives do not. */
function pathOf(name: string): string {
  return segmentsOf(name).join('/') || '.';
}

function expand(
  location: string,
  env: Readonly<Record<string, string | undefined>>,
  line: Line,
): string {
  return location.replace(/\$\{([^}]*)\}/g, (_, name: string) => {
    const value = env[name];
    if (value === undefined) throw line.bad(`the environment has no ${quoted(name)}`);
    return value;
  });
}
