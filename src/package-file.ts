import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = packageRoot(dirname(fileURLToPath(import.meta.url)));

/**
 * A file of this package beside its code, which runs from src/ or, bundled, from somewhere in dist/.
 * @param path from the package's root
 */
export function packageFile(path: string): string {
  return join(ROOT, path);
}

function packageRoot(directory: string): string {
  const parent = dirname(directory);
  return existsSync(join(directory, 'package.json')) || parent === directory
    ? directory
    : packageRoot(parent);
}
