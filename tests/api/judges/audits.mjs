// Runs the audits of graphql-http against a server: {url, token} on standard input, the results on standard output.
import { auditServer } from "graphql-http";
import { text } from "node:stream/consumers";

const { url, token } = JSON.parse(await text(process.stdin));
const results = await auditServer({
  url,
  fetchFn: (input, init = {}) => fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } }),
});
const told = results.map((result) => ({ id: result.id, name: result.name, status: result.status, reason: result.reason }));
console.log(JSON.stringify(told));
