/** Code for receivers, filled with the body and the signature of one delivery. Each is a whole program that prints its verdict. */
export interface Example {
  body: string;
  signature: string;
}

function single(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function php({ body, signature }: Example): string {
  return `<?php
// In your receiver:
//   $payloadContents = file_get_contents('php://input');
//   $signature = $_SERVER['HTTP_X_SIGNATURE'] ?? '';
$payloadContents = ${single(body)};
$signature = ${single(signature)};
$secretKey = getenv('WEBHOOK_SECRET');

$expected = hash_hmac('sha256', $payloadContents, $secretKey);
echo hash_equals($expected, $signature) ? "valid\\n" : "not valid\\n";
`;
}

function python({ body, signature }: Example): string {
  return `import hashlib
import hmac
import os

# In your receiver: the bytes of the request's body, before anything parses them,
# and the header X-Signature.
body = ${JSON.stringify(body)}.encode()
signature = ${JSON.stringify(signature)}
secret = os.environ["WEBHOOK_SECRET"]

expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
print("valid" if hmac.compare_digest(expected.encode(), signature.encode()) else "not valid")
`;
}

function node({ body, signature }: Example): string {
  return `import { createHmac, timingSafeEqual } from 'node:crypto';

// In your receiver: the raw body, as express.raw({ type: '*/*', limit: '5mb' }) gives it,
// and req.get('X-Signature').
const body = ${JSON.stringify(body)};
const signature = ${JSON.stringify(signature)};
const secret = process.env.WEBHOOK_SECRET;

const expected = createHmac('sha256', secret).update(body).digest();
const given = Buffer.from(signature, 'hex');
const isValid = given.length === expected.length && timingSafeEqual(given, expected);
console.log(isValid ? 'valid' : 'not valid');
`;
}

function go({ body, signature }: Example): string {
  const literal = body.includes('`') ? JSON.stringify(body) : `\`${body}\``;
  return `package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
)

func main() {
	// In your receiver: io.ReadAll(r.Body) and r.Header.Get("X-Signature").
	body := []byte(${literal})
	signature := ${JSON.stringify(signature)}

	mac := hmac.New(sha256.New, []byte(os.Getenv("WEBHOOK_SECRET")))
	mac.Write(body)
	expected := hex.EncodeToString(mac.Sum(nil))
	if hmac.Equal([]byte(expected), []byte(signature)) {
		fmt.Println("valid")
	} else {
		fmt.Println("not valid")
	}
}
`;
}

function ruby({ body, signature }: Example): string {
  return `require "openssl"

# In your receiver: request.get_header("HTTP_X_SIGNATURE"), and request.raw_post in Rails;
# in Rack request.body.read, before anything reads params.
body = ${single(body)}
signature = ${single(signature)}
secret = ENV.fetch("WEBHOOK_SECRET")

expected = OpenSSL::HMAC.hexdigest("SHA256", secret, body)
puts OpenSSL.secure_compare(expected, signature) ? "valid" : "not valid"
`;
}

export const LANGUAGES = [
  { key: 'php', label: 'PHP', code: php },
  { key: 'python', label: 'Python', code: python },
  { key: 'node', label: 'Node', code: node },
  { key: 'go', label: 'Go', code: go },
  { key: 'ruby', label: 'Ruby', code: ruby },
] as const;

/** Checks a signature in the browser; the secret never leaves it. */
export async function isSignedWith(secret: string, { body, signature }: Example): Promise<boolean> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const digest = new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(body)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === signature;
}
