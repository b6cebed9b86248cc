// The programs that the dashboard offers for one signature, by language. Standard input: {"body", "signature"}.
import { text } from 'node:stream/consumers';
import { LANGUAGES } from '../../web/src/deliveries/verification.ts';

const example = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(Object.fromEntries(LANGUAGES.map(({ key, code }) => [key, code(example)]))));
