/** How entries of an archive are shown. */
import { permissionsOf } from '../initramfs/entry.js';
import type { InitramfsEntry } from '../initramfs/index.js';

const TYPE_LETTERS = {
  file: '-',
  link: '-',
  dir: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
} as const;

/** One line for an entry: its path, or what `ls -l` would show. */
export function formatEntry(entry: InitramfsEntry, isLong: boolean): string {
  const name = printable(entry.path);
  if (!isLong) return `${name}\n`;
  const mode = TYPE_LETTERS[entry.type] + permissionLetters(permissionsOf(entry));
  const owner = `${entry.uid ?? 0}/${entry.gid ?? 0}`;
  return `${mode} ${owner.padEnd(9)} ${sizeOf(entry).padStart(9)} ${name}${targetOf(entry)}\n`;
}

function sizeOf(entry: InitramfsEntry): string {
  if (entry.type === 'file') return String(entry.data.length);
  const isDevice = entry.type === 'char' || entry.type === 'block';
  return isDevice ? `${entry.major},${entry.minor}` : '0';
}

function targetOf(entry: InitramfsEntry): string {
  if (entry.type === 'symlink') return ` -> ${printable(entry.target)}`;
  return entry.type === 'link' ? ` link to ${printable(entry.target)}` : '';
}

/** `rwxr-xr-x`, with s and t for setuid, setgid and sticky. */
function permissionLetters(mode: number): string {
  const letters = Array.from('rwxrwxrwx', (letter, index) =>
    mode & (0o400 >> index) ? letter : '-',
  );
  const special = [
    [0o4000, 2, 's'],
    [0o2000, 5, 's'],
    [0o1000, 8, 't'],
  ] as const;
  for (const [bit, index, letter] of special) {
    if (mode & bit) letters[index] = letters[index] === 'x' ? letter : letter.toUpperCase();
  }
  return letters.join('');
}

/** Names come from the archive: control characters must not reach the terminal. */
function printable(name: string): string {
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  return name.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
