import type { AttemptFullFragment, DeliveryQuery } from '../generated/graphql';

type Delivery = NonNullable<DeliveryQuery['delivery']>;

/** application/x-www-form-urlencoded as the worker writes it. */
function formEncoded(text: string): string {
  return encodeURIComponent(text).replace(/%20/g, '+').replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function contentType(attempt: AttemptFullFragment | undefined, delivery: Delivery): string {
  const sent = attempt?.requestHeaders.find(({ name }) => name.toLowerCase() === 'content-type')?.value;
  return sent ?? (delivery.webhook?.contentType === 'FORM' ? 'application/x-www-form-urlencoded' : 'application/json');
}

/** The document on one line, as it is built and signed. */
function documentOf(delivery: Delivery): string {
  return JSON.stringify(delivery.event.payload);
}

/** The body as it went out. */
export function bodyOf(attempt: AttemptFullFragment | undefined, delivery: Delivery): string {
  const document = documentOf(delivery);
  return contentType(attempt, delivery).includes('form-urlencoded') ? `payload=${formEncoded(document)}` : document;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Whether we know what was sent: if the worker died during the attempt, nothing was recorded. */
export function isKnown(attempt: AttemptFullFragment): boolean {
  return attempt.requestHeaders.length > 0;
}

/** The attempt's request as a command for a shell. */
export function asCurl(attempt: AttemptFullFragment, delivery: Delivery): string {
  const skipped = new Set(['host', 'content-length', 'connection', 'accept-encoding']);
  const sent = attempt.requestHeaders.filter(({ name }) => !skipped.has(name.toLowerCase()));
  // "name:" would leave a header out; "name;" sends it empty.
  const headers = sent.map(({ name, value }) => `  -H ${quoted(value === '' ? `${name};` : `${name}: ${value}`)}`);
  // Without --globoff, curl expands brackets and braces into several URLs.
  return [`curl --globoff -i -X ${attempt.requestMethod} ${quoted(attempt.requestUrl)}`, ...headers, `  --data-binary ${quoted(bodyOf(attempt, delivery))}`].join(' \\\n');
}

export function signatureOf(attempt: AttemptFullFragment | undefined): string | null {
  return attempt?.requestHeaders.find(({ name }) => name.toLowerCase() === 'x-signature')?.value ?? null;
}
