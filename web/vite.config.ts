import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const api = process.env.HOOKLINE_URL ?? 'http://127.0.0.1:8000';

// Two pages from one build: the dashboard at / and GraphiQL at /graphiql. Nothing is inlined, so the pages work
// under a Content-Security-Policy without 'unsafe-inline' for scripts.
export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8000,
    rollupOptions: {
      input: { dashboard: 'index.html', graphiql: 'graphiql/index.html' },
      // GraphiQL's packages contain directives for a compiler that is not used here.
      onwarn: (warning, warn) => (warning.code === 'MODULE_LEVEL_DIRECTIVE' ? undefined : warn(warning)),
    },
  },
  worker: { format: 'es' },
  server: {
    proxy: {
      '/graphql': { target: api, ws: true },
      '/session': { target: api },
    },
  },
});
