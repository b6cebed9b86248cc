import type { CodegenConfig } from '@graphql-codegen/cli';

const scalars = { ID: 'string', DateTime: 'string', JSON: 'unknown' };

const config: CodegenConfig = {
  schema: '../schema/schema.graphql',
  // The examples are among them so that a change of the schema that breaks one is noticed.
  documents: ['src/operations/*.graphql', 'src/graphiql/examples/*.graphql'],
  errorsOnly: true,
  generates: {
    'src/generated/graphql.ts': {
      plugins: ['typescript-operations', 'typed-document-node'],
      config: { scalars, strictScalars: true, enumsAsTypes: true, useTypeImports: true, skipTypename: true, dedupeFragments: true },
    },
  },
};

export default config;
