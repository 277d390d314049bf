import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'jsdom',
    globals: true,
    isolate: false,
    // not setInterval: jsdom draws its frames by it, in later specs of the same process too
    fakeTimers: { toFake: ['setTimeout', 'clearTimeout', 'Date'] },
    include: ['labextension/src/**/*.spec.ts'],
    setupFiles: ['labextension/src/testing.ts'],
    server: {
      deps: {
        inline: [
          /@jupyterlab\//,
          /@jupyter\//,
          /@lumino\//,
          /@microsoft\//,
          /@codemirror\//,
          /@lezer\//,
          /yjs/,
          /lib0/,
          /y-protocols/,
          /exenv-es6/
        ]
      }
    }
  }
});
