// Unpacks Chromium beside its package. tests/node.py runs this when it installs the package, so never twice at once: the
// package would take a half-written file of the other run for a whole one.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import chromium, { inflate } from '@sparticuz/chromium';
import { CHROMIUM, UNPACKED } from './browser.mjs';

await mkdir(UNPACKED, { recursive: true });
// The package unpacks to this folder; by default that is one which all users share.
process.env.TMPDIR = UNPACKED;
await chromium.executablePath();

// The libraries that it needs come with the package too, for machines that lack them.
if (spawnSync('ldd', [CHROMIUM], { encoding: 'utf8' }).stdout.includes('not found')) {
  const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  await inflate(path.join(path.dirname(main), '..', 'bin', 'al2023.tar.br'));
}
