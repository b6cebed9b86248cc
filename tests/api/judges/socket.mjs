// What graphql-ws, the client that most people use, makes of our sockets.
import { createClient } from "graphql-ws";
import { text } from "node:stream/consumers";

const { url, token } = JSON.parse(await text(process.stdin));
const connect = (authorization) =>
  createClient({ url, connectionParams: { authorization }, retryAttempts: 0, lazy: true });
const ask = (client, query) =>
  new Promise((resolve, reject) => {
    let last;
    client.subscribe({ query }, { next: (result) => (last = result), error: reject, complete: () => resolve(last.data) });
  });

const query = "{ viewer { workspace { name } } }";
const client = connect(`Bearer ${token}`);
const seen = { query: await ask(client, query) };
seen.validation = await ask(client, "{ nothing }").catch((errors) => errors[0].extensions.code);
seen.unauthenticated = await ask(connect("Bearer hl_wrong"), query).catch((event) => event.code);
// As in browsers, neither code nor reason arrives if the server answers with no subprotocol.
seen.legacy = await new Promise((resolve) => {
  new WebSocket(url, ["graphql-ws"]).onclose = ({ code, reason }) => resolve([code, reason]);
});
seen.still = await ask(client, query);
await client.dispose();
console.log(JSON.stringify(seen));
