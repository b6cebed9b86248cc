// Runs a Ruby program (its path is the argument). Standard input: {"env": {...}}; standard output: {"output", "errors"}.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { WASI } from 'node:wasi';
import { RubyVM } from '@ruby/wasm-wasi';

const { env } = JSON.parse(await text(process.stdin));
const folder = mkdtempSync(path.join(tmpdir(), 'hookline-ruby-'));
const [output, errors] = ['output', 'errors'].map((name) => path.join(folder, name));
const [stdout, stderr] = [output, errors].map((name) => openSync(name, 'w'));
try {
  const binary = createRequire(import.meta.url).resolve('@ruby/3.4-wasm-wasi/dist/ruby+stdlib.wasm');
  const wasip1 = new WASI({ version: 'preview1', args: ['ruby'], env, stdout, stderr });
  const { vm } = await RubyVM.instantiateModule({ module: await WebAssembly.compile(readFileSync(binary)), wasip1 });
  vm.eval(`${readFileSync(process.argv[2], 'utf8')}\n$stdout.flush`);
  process.stdout.write(JSON.stringify({ output: readFileSync(output, 'utf8'), errors: readFileSync(errors, 'utf8') }));
} finally {
  [stdout, stderr].forEach((file) => closeSync(file));
  rmSync(folder, { recursive: true });
}
