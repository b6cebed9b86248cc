// Runs a PHP script (its path is the argument) for one HTTP request, as a web server would. Standard input:
// {"method", "headers": {...}, "body": base64, "env": {...}}; standard output: {"status", "body": base64, "errors"}.
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { getPHPLoaderModule } from '@php-wasm/node-8-4';
import { loadPHPRuntime, PHP } from '@php-wasm/universal';

const { method, headers, body, env } = JSON.parse(await text(process.stdin));
const php = new PHP(await loadPHPRuntime(await getPHPLoaderModule()));
php.writeFile('/receive.php', readFileSync(process.argv[2]));
const answer = await php.run({
  scriptPath: '/receive.php', method, headers, body: new Uint8Array(Buffer.from(body, 'base64')), env,
});
const told = { status: answer.httpStatusCode, body: Buffer.from(answer.bytes).toString('base64'), errors: answer.errors };
process.stdout.write(JSON.stringify(told), () => process.exit(0));
