// Generates a typed document for each operation, so that a schema change that breaks a page fails the build.

import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { codegen } from '@graphql-codegen/core';
import * as typedDocuments from '@graphql-codegen/typed-document-node';
import * as operationTypes from '@graphql-codegen/typescript-operations';
import { parse } from 'graphql';

const SCHEMA = '../schema/schema.graphql';
// The examples are included so that a schema change that breaks one is noticed.
const OPERATIONS = ['src/operations/*.graphql', 'src/graphiql/examples/*.graphql'];
const MADE = 'src/generated/graphql.ts';

const read = (path: string) => parse(readFileSync(path, 'utf8'));

const code = await codegen({
  filename: MADE,
  schema: read(SCHEMA),
  documents: globSync(OPERATIONS).sort().map((location) => ({ location, document: read(location) })),
  pluginMap: { operationTypes, typedDocuments },
  plugins: [{ operationTypes: {} }, { typedDocuments: {} }],
  config: {
    scalars: { ID: 'string', DateTime: 'string', JSON: 'unknown' },
    strictScalars: true,
    enumsAsTypes: true,
    useTypeImports: true,
    skipTypename: true,
    dedupeFragments: true,
  },
});
mkdirSync('src/generated', { recursive: true });
writeFileSync(MADE, code);
