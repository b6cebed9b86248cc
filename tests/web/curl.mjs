// The command that the dashboard offers for an attempt. Standard input: {"attempt", "delivery"}.
import { text } from 'node:stream/consumers';
import { asCurl } from '../../web/src/deliveries/curl.ts';

const { attempt, delivery } = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(asCurl(attempt, delivery)));
