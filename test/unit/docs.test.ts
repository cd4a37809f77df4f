import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { ignoredFlags, ignoredWithArgument, optionRows } from '../../src/cli/options.js';
import { dashed } from '../../src/cli/values.js';
import { exitStatusRows } from '../../src/exit-status.js';

const read = (path: string) => readFileSync(path, 'utf8');

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** The rows below a Markdown table's header, as lists of cells; `\|` is a bar inside a cell. */
function tableBelow(heading: string): string[][] {
  const section = read('README.md')
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`));
  const lines = section?.split('\n').filter((line) => line.startsWith('|')) ?? [];
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );
}

describe.each(['README.md', 'CONTRIBUTING.md', 'DESIGN.md'])('%s', (document) => {
  const code = [...read(document).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');

  it('names only files and folders that are there', () => {
    const path = /^(?:\.ci|bios|images|native|src|test)\/[\w./-]*$|^[\w.-]+\.(?:md|json|gyp)$/;
    const paths = code.filter((text) => path.test(text));
    expect(paths.filter((text) => !existsSync(text))).toEqual([]);
  });

  it('names only npm scripts that are there', () => {
    const names = [...read(document).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1] ?? '');
    expect(names.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('README.md', () => {
  it('has the option table of the command line', () => {
    expect(tableBelow('Options')).toEqual(
      optionRows.map(({ name, argument, fallback, help }) => [
        argument === undefined ? `\`${dashed(name)}\`` : `\`${dashed(name)} <${argument}>\``,
        fallback === undefined ? '' : `\`${fallback}\``,
        help,
      ]),
    );
  });

  it('names each QEMU flag that is accepted and ignored', () => {
    for (const name of [...ignoredFlags, ...ignoredWithArgument]) {
      expect(read('README.md')).toContain(`\`${dashed(name)}\``);
    }
  });

  it('has the table of exit statuses', () => {
    expect(tableBelow('Exit status')).toEqual(
      exitStatusRows.map(({ status, when }) => [`\`${status}\``, when]),
    );
  });
});
