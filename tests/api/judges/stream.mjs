// What graphql-sse makes of our event streams.
import { createClient } from "graphql-sse";
import { text } from "node:stream/consumers";

const { url, token } = JSON.parse(await text(process.stdin));
const connect = (authorization) => createClient({ url, headers: { authorization }, retryAttempts: 0 });
const ask = (client, query) =>
  new Promise((resolve, reject) => {
    let last;
    client.subscribe({ query }, { next: (result) => (last = result), error: reject, complete: () => resolve(last) });
  });

const query = "{ viewer { workspace { name } } }";
const client = connect(`Bearer ${token}`);
const seen = { query: (await ask(client, query)).data };
seen.validation = (await ask(client, "{ nothing }")).errors[0].extensions.code;
seen.unauthenticated = await ask(connect("Bearer hl_wrong"), query).catch((error) => error.response.status);
client.dispose();
console.log(JSON.stringify(seen));
