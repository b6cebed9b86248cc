// Unpacks Chromium beside its package. Run when that is installed (tests/node.py), and so never by two at once: the package
// would take the half file of the one for a whole.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import chromium, { inflate } from '@sparticuz/chromium';
import { CHROMIUM, UNPACKED } from './browser.mjs';

await mkdir(UNPACKED, { recursive: true });
// Where the package unpacks to; its own choice is the folder of all users.
process.env.TMPDIR = UNPACKED;
await chromium.executablePath();

// The libraries that it needs come with the package too, for machines that lack them.
if (spawnSync('ldd', [CHROMIUM], { encoding: 'utf8' }).stdout.includes('not found')) {
  const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  await inflate(path.join(path.dirname(main), '..', 'bin', 'al2023.tar.br'));
}
